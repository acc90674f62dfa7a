"""Container images without a registry: small OCI archives of busybox, and our own product image."""

import os
import shutil
from pathlib import Path

from daemonset.image import oci

PAUSE = "registry.k8s.io/pause:3.10"
BUSYBOX = "docker.io/library/busybox:1"      # `image: busybox:1` in a pod
APPLETS = ("sh", "sleep", "cat", "dd", "date", "echo", "ls", "mkdir", "mv", "rm", "sync", "test", "touch", "true", "wc",
           "sha256sum", "id", "stat", "df", "head", "tail", "seq", "printf", "mount", "grep", "wget")


def busybox(folder: Path) -> list[Path]:
    """Archives of a pause image and of a busybox image, made in `folder`."""
    root = folder / "busybox"
    shutil.rmtree(root, ignore_errors=True)
    (root / "bin").mkdir(parents=True)
    (root / "tmp").mkdir()
    shutil.copyfile("/bin/busybox", root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    pause = root / "pause"
    pause.write_text("#!/bin/sh\nexec sleep 2147483647\n")
    pause.chmod(0o755)
    machine = os.uname().machine
    archives = []
    for name, command in ((PAUSE, ["/pause"]), (BUSYBOX, ["/bin/sh"])):
        archive = folder / f"{name.split('/')[-1].split(':')[0]}.tar"
        oci.write(root, archive, name, machine, {}, command)
        archives.append(archive)
    return archives
