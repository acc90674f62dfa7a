"""What the guest is made of: Debian packages, trimmed kernel modules and the few files of `files/`.

All of it goes into the cache key, so a changed recipe builds a new image and an unchanged one never does.
"""

import hashlib
from pathlib import Path

FILES = Path(__file__).resolve().parent / "files"

SUITE = "bookworm"
KERNEL = "linux-image-amd64"                 # the stock kernel; the cloud flavour lacks SCSI target and FCoE

PACKAGES = (
    "kmod", "udev", "iproute2", "busybox-static", "procps", "psmisc", "python3", "strace",      # the machine
    "open-iscsi", "multipath-tools", "kpartx", "sg3-utils", "nfs-common",                       # a node
    "xfsprogs", "e2fsprogs", "btrfs-progs", "fdisk", "lvm2",
    "nfs-kernel-server", "rpcbind", "nftables",                                                 # the arrays
)

# Hardware that no guest has; two thirds of the modules.
LEFT_OUT_OF_MODULES = (
    "sound", "drivers/gpu", "drivers/media", "drivers/net/wireless", "drivers/net/ethernet", "drivers/infiniband",
    "drivers/staging", "drivers/iio", "drivers/usb", "drivers/hwmon", "drivers/input", "drivers/isdn",
    "drivers/bluetooth", "drivers/video", "drivers/mtd", "drivers/nfc", "drivers/comedi",
)
LEFT_OUT_OF_PACKAGES = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")

# What the first megabytes of a boot need before the root disk is there.
INITRD_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")

ROOT_SIZE = "6G"                             # sparse; room for container images when the guest is a kubelet's node


def key() -> str:
    """Twelve hex digits that change with anything the image is made of."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(Path(__file__).with_name("build.py").read_bytes())
    for path in sorted(FILES.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
