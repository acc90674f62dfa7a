#!/bin/sh
# Make the virtual environment: venv.sh PYTHON DIRECTORY
set -eu

python=$1
venv=$2

die() { printf 'venv: %s\n' "$*" >&2; exit 1; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "Python 3.11 or later is needed, and $python is older or missing: apt-get install python3, or make PYTHON=…"

# Debian ships venv's ensurepip in a package of its own.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    [ "$(id -u)" = 0 ] || die "install python3-venv first: apt-get install python3-venv"
    apt-get update -q >/dev/null
    apt-get install -qy python3-venv >/dev/null
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --config-settings editable_mode=compat --editable '.[explorer,simulator,test]'
