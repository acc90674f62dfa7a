#!/bin/sh
# See that mkfs.xfs and friends are here, so that file systems are real, and Perl, which pretend nodes need in any case;
# without root, say what is pretended.
set -eu

missing=
for pair in mkfs.xfs:xfsprogs mkfs.ext4:e2fsprogs mkfs.btrfs:btrfs-progs blkid:util-linux losetup:mount perl:perl-base; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || [ -x "/sbin/${pair%%:*}" ] || missing="$missing ${pair##*:}"
done

if [ "$(id -u)" != 0 ]; then
    echo "not root: file systems and block devices are pretended (as root they are real)"
elif [ -n "$missing" ]; then
    echo "installing:$missing"
    apt-get update -q >/dev/null
    # shellcheck disable=SC2086
    apt-get install -qy $missing >/dev/null
fi
