"""Builds the driver as nodes get it: one static launcher and, beside it, a Python of its own.

A node may have no Python, an old C library or none, a read-only /usr and a noexec /tmp. So the bundle carries Debian's
python3.11, the libraries it is linked to, their loader, and the modules as unchecked-hash .pyc; the launcher starts them.
What was measured, and why it is not PyInstaller, Nuitka, a zipapp or a static Python: README, "On a node".

    flex                          static launcher, the only file kubelet runs
    .flex-rt-<hash>/ld.so         the loader of the C library below
    .flex-rt-<hash>/so/           libraries
    .flex-rt-<hash>/bin/          python3.11
    .flex-rt-<hash>/lib/python3.11/   standard library, dependencies, driver
    .flex-rt-<hash>/licenses/     what is inside, and under which terms
"""
