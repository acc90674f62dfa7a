"""`python -m daemonset.image`: build the image's root file system and, with it, an OCI archive."""

import platform
import shutil
from pathlib import Path

import click

import arrays
from daemonset.image import inventory, oci, rootfs


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path("dist"), show_default=True,
              help="Folder that holds the bundle and gets rootfs/ and pure-flex-image.tar.")
@click.option("--name", default=f"docker.io/purestorage/k8s:{arrays.__version__}", show_default=True,
              help="Name of the image.")
@click.option("--rootfs-only", is_flag=True, help="Leave the packing to somebody else (daemonset/Dockerfile).")
def main(output: Path, name: str, rootfs_only: bool) -> None:
    """Build the image without Docker. Run `make bundle` first; needs busybox-static and ca-certificates beside."""
    root = output / "rootfs"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    rootfs.put(root, output / f"bundle-{platform.machine()}")
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    click.echo(f"{root}: {size / 2**20:.0f} MiB")
    if not rootfs_only:
        archive = output / "pure-flex-image.tar"
        digest = oci.write(root, archive, name, platform.machine(), inventory.LABELS, ["/pure-flex-daemon", "--help"])
        click.echo(f"{archive}: {archive.stat().st_size / 2**20:.0f} MiB, {name}, {digest}")


if __name__ == "__main__":
    main()
