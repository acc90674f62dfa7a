"""The images that the suite's pods name, without a registry: busybox, GNU dd and sha256sum, agnhost. All are one layer.

Names and versions: test/utils/image/manifest.go of Kubernetes 1.34.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from daemonset.image import oci

REGISTRY = "registry.k8s.io/e2e-test-images"
# name -> entrypoint, command
IMAGES = {f"{REGISTRY}/busybox:1.37.0-1": ([], ["/bin/sh"]), f"{REGISTRY}/agnhost:2.56": (["/agnhost"], ["pause"]),
          f"{REGISTRY}/nginx:1.14-4": ([], ["/bin/sh"]), f"{REGISTRY}/jessie-dnsutils:1.7": ([], ["/bin/sh"])}
GNU = ("/bin/dd", "/usr/bin/sha256sum")         # with direct I/O and long options


def archives(programs: Path) -> list[Path]:
    """Archives of all images, made once beside the programs they were made from."""
    folder = programs.parent / "images"
    made = [folder / f"{name.rpartition('/')[2].replace(':', '-')}.tar" for name in IMAGES]
    if not all(path.exists() for path in made):
        folder.mkdir(exist_ok=True)
        root = _root(folder / "rootfs", programs / "agnhost")
        for (name, (entrypoint, command)), path in zip(IMAGES.items(), made):
            part = path.with_suffix(".part")
            oci.write(root, part, name, os.uname().machine, {}, command, entrypoint)
            part.rename(path)
    return made


def _root(root: Path, agnhost: Path) -> Path:
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("bin", "etc", "tmp", "usr/bin"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for applet in subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    shutil.copy(agnhost, root / "agnhost")
    for program in GNU:
        for source in (program, *_libraries(program)):
            target = root / ("bin/" + Path(source).name if source == program else source.lstrip("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy(source, target)
    return root


def _libraries(program: str) -> list[str]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", listed)
