#!/bin/sh
# Compile the tests once before several processes run them: compiled.sh PYTHON
# pytest rewrites the asserts of a test file when it imports it, and each process of a run imports all: four of them would
# do the same work at the same time. Two halves, for two cores. What cannot be imported is told by the run itself.
set -eu

python=$1

collect() { "$python" -m pytest -q -n 0 --collect-only "$@" >/dev/null 2>&1 || true; }

collect tests/flex tests/arrays tests/simulator &
collect tests --ignore=tests/flex --ignore=tests/arrays --ignore=tests/simulator
wait
