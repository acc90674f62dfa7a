"""`python -m daemonset.bundle`: build the driver for nodes. One build an architecture, made on that architecture."""

import hashlib
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import click

import arrays
from daemonset.bundle import inventory, libraries, modules

LAUNCHER = Path(__file__).with_name("launcher.c")


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path("dist"), show_default=True,
              help="Folder that gets bundle-<machine>/ with `flex` and its runtime.")
def main(output: Path) -> None:
    """Build the self-contained driver for this machine's architecture.

    Needs Debian 12's python3.11, gcc's binutils and musl-tools; `make bundle` installs them.
    """
    bundle = output / f"bundle-{platform.machine()}"
    with tempfile.TemporaryDirectory(dir=_made(output)) as scratch:
        runtime = Path(scratch) / "runtime"
        libraries.put(runtime)
        modules.put(runtime)
        inventory.put(runtime, libraries.debian_packages(["musl"]), arrays.__version__)
        digest = content_hash(runtime)
        named = runtime.rename(runtime.with_name(f".flex-rt-{digest}"))
        _launcher(Path(scratch) / "flex", named.name)
        shutil.rmtree(bundle, ignore_errors=True)
        bundle.mkdir()
        for path in (named, Path(scratch) / "flex"):
            path.rename(bundle / path.name)
    files = [path for path in bundle.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    click.echo(f"{bundle}: {len(files)} files, {size / 2**20:.1f} MiB, runtime {digest}")


def content_hash(folder: Path) -> str:
    """12 hex digits over names, modes and contents; it names the runtime, so that two versions live side by side."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            total.update(f"{path.relative_to(folder)}\0{path.stat().st_mode & 0o777:o}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:12]


def _launcher(target: Path, runtime: str) -> None:
    """Compile the launcher for one runtime. musl, not glibc: 17 KB, and no name service machinery inside."""
    subprocess.run(["musl-gcc", "-static", "-O2", "-s", "-Wall", "-Wextra", "-Werror", "-Wl,--build-id=none",
                    f'-DRUNTIME="{runtime}"', "-o", str(target), str(LAUNCHER)], check=True)
    target.chmod(0o755)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    main()
