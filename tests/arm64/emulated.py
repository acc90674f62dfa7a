"""`python emulated.py COMMAND…`: run a command with which arm64 programs run too. Root is needed.

The kernel is told of qemu by binfmt_misc, in a user namespace of the command's own (Linux 6.7 and later keep one table for
each): nothing is registered on the machine. The flag F opens qemu here, so that it is found in any chroot.
"""

import ctypes
import os
import sys

QEMU = "/usr/bin/qemu-aarch64-static"
TABLE = "/proc/sys/fs/binfmt_misc"
# 64 bits, little endian, executable or shared, EM_AARCH64: as qemu's own scripts/qemu-binfmt-conf.sh has it.
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
_NEW_NAMESPACES = 0x10000000 | 0x00020000       # user, mount
_IDS = "0 0 65536"

_libc = ctypes.CDLL(None, use_errno=True)


def main(command: list[str]) -> int:
    """Run it as a child, so that the parent, which has the rights, can write its maps; its exit status."""
    ready, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _called("unshare", _libc.unshare(_NEW_NAMESPACES))
        os.write(ready[1], b".")
        os.read(mapped[0], 1)
        _called("mount", _libc.mount(b"none", TABLE.encode(), b"binfmt_misc", 0, None))
        with open(f"{TABLE}/register", "w") as table:
            table.write(f":aarch64:M::{_MAGIC}:{_MASK}:{QEMU}:F")
        for end in (*ready, *mapped):
            os.close(end)
        os.execvp(command[0], command)
    os.read(ready[0], 1)
    for kind in ("uid", "gid"):
        with open(f"/proc/{child}/{kind}_map", "w") as ids:
            ids.write(_IDS)
    os.write(mapped[1], b".")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _called(what: str, status: int) -> None:
    if status:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
