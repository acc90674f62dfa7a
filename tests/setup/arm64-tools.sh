#!/bin/sh
# As root, install the emulator for `make bundle-arm` where it is missing.
set -eu

[ -x /usr/bin/qemu-aarch64-static ] && exit 0
if [ "$(id -u)" != 0 ]; then
    echo "install first: apt-get install qemu-user-static" >&2
    exit 1
fi
echo "installing: qemu-user-static"
apt-get update -q >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends qemu-user-static >/dev/null
