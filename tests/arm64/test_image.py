"""The image for arm64: its commands answer, and the compiled packages in it are that processor's."""

import subprocess
from pathlib import Path

import pytest

from daemonset.image.rootfs import COMMANDS
from tests.arm64 import debian


@pytest.fixture(scope="module")
def image(bundle: Path) -> Path:
    """The image's root."""
    return debian.image(debian.CHECKOUT / "dist")


def inside(image: Path, *command: str) -> str:
    return subprocess.run([*debian.RUNNER, "chroot", str(image), *command], capture_output=True, text=True, timeout=120,
                          check=True).stdout


def test_each_command_answers(image: Path) -> None:
    for command in {*COMMANDS} - {"/uninstaller"}:
        assert "Usage: " in inside(image, command, "--help")
    assert "Usage: pure explore" in inside(image, "/usr/bin/pure", "explore", "--help")


def test_compiled_packages_load(image: Path) -> None:
    """kubernetes' reader of kubeconfig files needs pydantic's; the explorer needs markupsafe's."""
    said = inside(image, "/usr/bin/python3.11", "-IS", "-c", "import sys; sys.path.append('/opt/pure')\n"
                  "from kubernetes import client, config\nimport explorer.serve, provisioner.loop, yaml, platform\n"
                  "print(platform.machine(), yaml.__with_libyaml__)")
    assert said == "aarch64 True\n"


def test_each_library_is_for_arm64(image: Path) -> None:
    found = [path for path in image.rglob("*.so*") if not path.is_symlink()]
    assert len(found) > 30
    for path in found:
        assert "AArch64" in subprocess.run(["readelf", "-h", path], capture_output=True, text=True, check=True).stdout
