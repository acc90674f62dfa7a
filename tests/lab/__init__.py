"""The lab: the driver on a stock Debian kernel with a real iSCSI target, multipathd and NFS server, in QEMU."""
