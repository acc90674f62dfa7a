#!/bin/sh
# What the explorer's browser tests need: Debian's Chromium, and what drives it: browser-tools.sh PYTHON
set -eu

python=$1

if ! command -v chromium >/dev/null 2>&1; then
    [ "$(id -u)" = 0 ] || { echo "install Chromium first: apt-get install chromium fonts-dejavu-core" >&2; exit 1; }
    echo "installing: chromium"
    apt-get update -q >/dev/null
    apt-get install -qy --no-install-recommends chromium fonts-dejavu-core >/dev/null
fi

"$python" -c 'import axe_playwright_python, playwright' 2>/dev/null ||
    "$python" -m pip install --quiet --config-settings editable_mode=compat --editable '.[browser]'
