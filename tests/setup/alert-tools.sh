#!/bin/sh
# promtool for `make alerts`: the machine's own, else Debian's unpacked into .cache, for the package would start a server.
set -eu

command -v promtool >/dev/null 2>&1 && exit 0
folder=.cache/promtool
[ -x "$folder/usr/bin/promtool" ] && exit 0
command -v apt-get >/dev/null 2>&1 || { echo "install promtool first (https://prometheus.io/download/)" >&2; exit 1; }
echo "fetching: promtool"
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
apt-get download -q prometheus >/dev/null 2>&1 || { apt-get update -q >/dev/null; apt-get download -q prometheus >/dev/null; }
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
rm prometheus_*.deb
