#!/bin/sh
# See that everything the bundle and the image are built from is here; as root, install what is missing.
set -eu

missing=
for pair in /usr/bin/python3.11:python3.11 /usr/bin/musl-gcc:musl-tools /usr/bin/strip:binutils /usr/bin/gcc:gcc \
            /bin/busybox:busybox-static /etc/ssl/certs/ca-certificates.crt:ca-certificates /usr/sbin/chroot:coreutils; do
    [ -e "${pair%%:*}" ] || missing="$missing ${pair##*:}"
done
# the interpreter alone is not enough: the standard library is a package of its own
[ -e /usr/lib/python3.11/distutils/version.py ] || missing="$missing libpython3.11-stdlib"
# a static busybox, since the image has no libraries for another
[ -z "${missing##*busybox*}" ] || dpkg -s busybox-static >/dev/null 2>&1 || missing="$missing busybox-static"

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "install first: apt-get install$missing" >&2
    exit 1
fi
echo "installing:$missing"
apt-get update -q >/dev/null
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing >/dev/null
