"""A driver that kubelet starts in a container. The move into the host's namespaces itself is run in the lab."""

import os
from pathlib import Path

import pytest

from flex import container


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the container sees of the machine's first process; at first, that it is on the same machine as we are."""
    process = tmp_path / "1"
    (process / "ns").mkdir(parents=True)
    for name in container.NAMESPACES:
        (process / "ns" / name).symlink_to(os.readlink(f"/proc/self/ns/{name}"))
    (process / "root").symlink_to("/")
    monkeypatch.setattr(container, "HOST", str(process))
    monkeypatch.setattr(container, "_setns", lambda namespace: pytest.fail("moved"))
    return process


def elsewhere(first: Path) -> Path:
    """Let the first process have a root and a mount namespace of its own; returns that root."""
    (first / "root").unlink()
    (first / "root").mkdir()
    (first / "ns/mnt").unlink()
    (first / "ns/mnt").symlink_to("mnt:[1]")
    return first / "root"


def test_on_the_host_nothing_is_done(first: Path) -> None:
    assert container.enter_host("/usr") == ""


def test_a_mount_namespace_of_its_own_is_no_container(first: Path) -> None:
    """kubelet's unit may have PrivateTmp: the root is the host's all the same."""
    (first / "ns/mnt").unlink()
    (first / "ns/mnt").symlink_to("mnt:[1]")
    assert container.enter_host("/usr") == ""


def test_the_drivers_folder_must_be_the_same_on_the_host(first: Path, tmp_path: Path) -> None:
    """Modules are still to be imported from it; kubelet needs its directories at the same place anyway."""
    home = tmp_path / "plugins"
    home.mkdir()
    there = Path(f"{elsewhere(first)}{home}")
    assert "cannot be entered" in container.enter_host(str(home))
    there.mkdir(parents=True)
    assert container.enter_host(str(home)) == f"{home} is not the same folder on the host"


def test_only_namespaces_that_differ_are_entered(first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kubelet's container has the host's network, as a rule."""
    home = tmp_path / "plugins"
    home.mkdir()
    there = Path(f"{elsewhere(first)}{home}")
    there.parent.mkdir(parents=True)
    there.symlink_to(home)
    entered: list[str] = []
    monkeypatch.setattr(container, "_setns", lambda namespace: entered.append(os.readlink(f"/proc/self/fd/{namespace}")))
    assert "cannot be entered" in container.enter_host(str(home))
    (first / "ns/mnt:[1]").touch()
    assert container.enter_host(str(home)) == "" and entered == [f"{first}/ns/mnt:[1]"]


def test_the_lines_to_add_are_said_in_a_container_only(first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "_has_layered_root", lambda: False)
    monkeypatch.setattr(container, "_MARKS", (str(tmp_path / "mark"),))
    assert container.advice() == ""
    (tmp_path / "mark").touch()
    assert "extra_binds: [/etc/iscsi:/etc/iscsi, /sbin/iscsiadm:/sbin/iscsiadm" in container.advice()
