"""What the image says of itself: entry points, licence texts, and a list of components for tracking vulnerabilities.

Scanners read the packages' METADATA, which is kept; components.json (CycloneDX) has Debian's files and purestorage too,
which comes without such a record.
"""

import configparser
import shutil
from pathlib import Path

import arrays
from daemonset.bundle import inventory, libraries
from daemonset.bundle.modules import CHECKOUT, LICENCES

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
RECORDS = (*LICENCES, "METADATA", "ENTRY_POINTS.TXT")
LABELS = {
    "org.opencontainers.image.title": "pure-flex",
    "org.opencontainers.image.description": "FlexVolume driver and dynamic provisioner for Pure Storage",
    "org.opencontainers.image.version": arrays.__version__,
    "org.opencontainers.image.licenses": "Apache-2.0",
}
# Beside what owns the files: the certificates are a file that Debian's package makes, so nothing owns it.
_BY_NAME = ("ca-certificates", "busybox-static")


def put_records(packages: Path) -> None:
    """Write our own *.dist-info beside the packages, as an installer would: `pure` finds its commands by entry points."""
    config = configparser.ConfigParser(delimiters=("=",))
    config.read(CHECKOUT / "setup.cfg")
    record = packages / f"pure_flex-{arrays.__version__}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pure-flex\nVersion: {arrays.__version__}\n")
    (record / "entry_points.txt").write_text("".join(
        f"[{group}]\n{lines.strip()}\n" for group, lines in config["options.entry_points"].items()))
    shutil.copyfile(CHECKOUT / "LICENSE", record / "LICENSE")


def put(root: Path, libraries_taken: list[Path]) -> None:
    """Write the list of components and, where Debian has them, the copyright of each of Debian's packages."""
    debian = libraries.debian_packages(_BY_NAME, libraries_taken)
    for package in debian:
        text = Path(str(inventory.COPYRIGHTS).lstrip("/")) / package / "copyright"
        (root / text).parent.mkdir(parents=True)
        shutil.copyfile("/" / text, root / text)
    (root / "opt/pure/components.json").write_text(inventory.bill(debian, REQUIREMENTS, arrays.__version__))
