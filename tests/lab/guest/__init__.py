"""A small Debian machine in QEMU's software emulation: recipe, build, start, commands inside, end."""
