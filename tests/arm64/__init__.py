"""The bundle for arm64: built by the same builder on an emulated arm64 Debian 12, and run on emulated arm64 nodes.

qemu-user-static translates the programs; the system calls are this machine's. `make bundle-arm`.
"""
