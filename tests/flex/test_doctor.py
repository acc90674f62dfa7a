"""What `flex doctor` finds on a node, one line each, with what to do about it."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from flex import doctor, state
from flex.distribution import Distribution, parse_family
from flex.doctor import NOTE, OK, PROBLEM, WARNING, Finding
from flex.machine import Node
from flex.paths import Paths
from tests.flex.blocks import GiB, block, host_of, on, without_portals


@pytest.fixture
def machine(flex: Any, node: Any, array: Any, monkeypatch: pytest.MonkeyPatch) -> Node:
    """The pretend node as the driver sees it, with iscsid among its processes."""
    process(node, 700, "iscsid")
    (node.root / "etc/os-release").write_text('NAME="Debian GNU/Linux"\nID=debian\n')
    monkeypatch.setattr(doctor, "REACH", 0.3)
    return without_portals(flex, node, monkeypatch)


def process(node: Any, pid: int, name: str, *words: str) -> Path:
    folder = Path(f"{node.root}/proc/{pid}")
    folder.mkdir()
    (folder / "comm").write_text(f"{name}\n")
    (folder / "cmdline").write_text("\0".join((name, *words)) + "\0")
    return folder


def of(findings: list[Finding], subject: str) -> list[Finding]:
    return [finding for finding in findings if finding.subject == subject]


def problems(machine: Node) -> list[str]:
    return [f"{finding.subject}: {finding.text}" for finding in doctor.findings(machine) if finding.level == PROBLEM]


def test_a_node_that_has_all_it_needs_has_no_problem(machine: Node, node: Any, array: Any) -> None:
    assert problems(machine) == []
    found = doctor.findings(machine)
    assert of(found, "initiator") == [Finding(OK, "initiator", node.iqn)]
    assert [finding.level for finding in of(found, array.endpoint)] == [OK, *[NOTE] * len(array.portals)]


def test_it_changes_nothing(machine: Node, node: Any, array: Any) -> None:
    doctor.findings(machine)
    assert node.commands == [] and node.sysfs_writes == [] and array.hosts == {}
    assert {request.method for request in array.requests if request.path != "auth/session"} == {"GET"}


def test_sessions_are_listed_with_their_luns(machine: Node, flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    told = [finding.text for finding in of(doctor.findings(machine), array.endpoint)]
    assert all(any(portal in text and "1 LUNs" in text for text in told) for portal in array.portals)


def test_a_device_that_the_array_has_taken_away_is_named(machine: Node, flex: Any, node: Any, array: Any,
                                                         pod: Path) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    array.disconnect(host_of(array, node), "k8s-pvc-1")
    stale = [finding for finding in doctor.findings(machine) if "not show any more" in finding.text]
    assert [finding.level for finding in stale] == [WARNING] * 2 and "unmount" in stale[0].remedy


@pytest.mark.parametrize("distribution, remedy", [
    ("ID=debian\n", "apt-get install open-iscsi"),
    ('ID="centos"\nID_LIKE="rhel fedora"\n', "yum install iscsi-initiator-utils"),
    ("ID=coreos\n", "install iscsi-initiator-utils or open-iscsi"),
])
def test_what_is_missing_comes_with_its_package(machine: Node, node: Any, distribution: str, remedy: str,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    (node.root / "etc/os-release").write_text(distribution)
    (node.bin / "iscsiadm").unlink()
    monkeypatch.setenv("PATH", str(node.bin))
    monkeypatch.setattr("flex.node.command.FOLDERS", ())
    missing, = of(doctor.findings(machine), "iscsiadm")
    assert (missing.level, missing.remedy) == (PROBLEM, remedy)


def test_daemons_that_do_not_run_are_named(machine: Node, node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    os.rename(f"{node.root}/proc/700", f"{node.root}/proc/x700")
    node.settings.multipathd = "stopped"
    monkeypatch.setattr(Paths, "multipathd_socket", "\0nobody-listens-here")
    remedies = {finding.remedy for finding in doctor.findings(machine) if finding.level == PROBLEM}
    assert remedies == {"systemctl enable --now iscsid", "systemctl enable --now multipathd"}


def test_an_iscsid_that_systemd_starts_when_needed_is_fine(machine: Node, node: Any) -> None:
    os.rename(f"{node.root}/proc/700", f"{node.root}/proc/x700")
    (node.root / "proc/net").mkdir()
    (node.root / "proc/net/unix").write_text("Num RefCount\n0000: 2 0 1 01 77 @ISCSIADM_ABSTRACT_NAMESPACE\n")
    assert problems(machine) == []


def test_queueing_for_ever_and_a_missing_section_are_warned_about(machine: Node, node: Any) -> None:
    node.settings.no_path_retry = "queue"
    found = doctor.findings(machine)
    assert of(found, "no_path_retry")[0].level == of(found, "multipath.conf")[0].level == WARNING
    assert "PURE" in of(found, "multipath.conf")[0].remedy
    (node.root / "etc/multipath.conf").write_text('devices { device { vendor "PURE" } }\n')
    assert of(doctor.findings(machine), "multipath.conf")[0].level == OK


def test_an_array_that_is_away_takes_nobody_down(machine: Node, flex: Any, sim: Any, array: Any, node: Any) -> None:
    sim.add_flash_array("fa2")
    sim.add_flash_blade("fb1")
    array.faults.add(reset=True)
    flex.install()
    found = doctor.findings(on(flex, node))
    assert of(found, array.endpoint)[0].level == PROBLEM
    assert {finding.level for finding in found if finding.subject == sim.flash_arrays[1].endpoint} == {OK, NOTE}
    assert [finding.level for finding in found if finding.subject == sim.flash_blades[0].endpoint] == [OK, OK]
    assert all(one.token not in repr(found) for one in sim.arrays)


def test_portals_outside_the_allowed_networks_are_not_tried(machine: Node, flex: Any, node: Any, array: Any) -> None:
    found = doctor.findings(on(flex, node, PURE_ISCSI_ALLOWED_CIDRS="203.0.113.0/24"))
    assert any("203.0.113.0/24" in finding.text and finding.level == PROBLEM for finding in found)


def test_settings_that_cannot_be_read_are_named(machine: Node, flex: Any, node: Any) -> None:
    assert any("PURE_PREEMPT_RWO_GRACE" in text for text in problems(on(flex, node, PURE_PREEMPT_RWO_GRACE="soon")))


def test_a_kubelet_that_looks_elsewhere_is_warned_about(machine: Node, node: Any, flex: Any) -> None:
    process(node, 800, "kubelet", "--volume-plugin-dir=/var/lib/kubelet/volumeplugins", "--v=2")
    elsewhere, = of(doctor.findings(machine), "kubelet")
    assert elsewhere.level == WARNING and elsewhere.remedy == "set flexPath to /var/lib/kubelet/volumeplugins"


@pytest.mark.parametrize("pid_namespace, tools, told", [
    ("pid:[2]", False, "no iscsiadm"), ("pid:[2]", True, "the tools in it"), ("pid:[1]", False, "the host's tools")])
def test_a_kubelet_in_a_container(machine: Node, node: Any, pid_namespace: str, tools: bool, told: str) -> None:
    """With the host's processes in sight the driver gets at the host's tools; else they have to be in the container."""
    for pid, name, namespaces in ((1, "systemd", ("mnt:[1]", "pid:[1]")), (800, "kubelet", ("mnt:[2]", pid_namespace))):
        folder = process(node, pid, name)
        (folder / "ns").mkdir()
        for namespace in namespaces:
            (folder / "ns" / namespace[:3]).symlink_to(namespace)
    (folder / "root/sbin").mkdir(parents=True)
    if tools:
        (folder / "root/sbin/iscsiadm").touch()
    found, = of(doctor.findings(machine), "kubelet")
    assert told in found.text and ("extra_binds" in found.remedy) == (told == "no iscsiadm")


@pytest.mark.parametrize("words, folder", [
    (["kubelet", "--volume-plugin-dir=/a"], "/a"), (["kubelet", "--volume-plugin-dir", "/b", "-v"], "/b"),
    (["kubelet"], ""), (["kubelet", "--volume-plugin-dir"], "")])
def test_kubelets_plugin_folder_is_read_from_its_command_line(words: list[str], folder: str) -> None:
    assert doctor.plugin_folder(words) == folder


def test_what_calls_have_left_is_listed(machine: Node, node: Any) -> None:
    state.save(machine.paths, state.Record("/pods/x", backend="block", volume="k8s-pvc-9", stage=state.DISCONNECT_LEFT))
    left, = of(doctor.findings(machine), "/pods/x")
    assert left.level == NOTE and "k8s-pvc-9" in left.text
    next(Path(machine.paths.state_dir).rglob("*.json")).write_text("")
    lost, = of(doctor.findings(machine), "record")
    assert lost.level == PROBLEM and "cannot be read" in lost.text


def test_a_port_is_reachable_when_somebody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        assert doctor.unreachable("127.0.0.1", port) == ""
    assert "refused" in doctor.unreachable("127.0.0.1", port)


@pytest.mark.parametrize("text, family", [("ID=ubuntu\nID_LIKE=debian\n", "debian"),
                                          ('ID="opensuse-leap"\nID_LIKE="suse"', "suse"),
                                          ("ID=arch\n", ""), ("", "")])
def test_families_of_distributions(text: str, family: str) -> None:
    assert parse_family(text) == family


@pytest.mark.parametrize("family, what, told", [
    ("debian", "xfs", "apt-get install xfsprogs"), ("suse", "btrfs", "zypper install btrfsprogs"),
    ("", "ext4", "install e2fsprogs"), ("rhel", "vfat", "install a package with mkfs.vfat")])
def test_installing(family: str, what: str, told: str) -> None:
    assert Distribution(family).install(what) == told
