"""`flex doctor -o prom`: this node's numbers in Prometheus' format, and the counts behind them."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from flex import counts, people, prom
from flex.machine import Node
from flex.paths import Paths
from flex.wait import wait_for
from tests.flex.blocks import GiB, block, host_of, without_portals

Numbers = dict[tuple[str, ...], float]


@pytest.fixture
def machine(flex: Any, node: Any, array: Any, monkeypatch: pytest.MonkeyPatch) -> Node:
    """The pretend node as the driver sees it; its portals are not tried."""
    return without_portals(flex, node, monkeypatch)


def numbers(text: str) -> Numbers:
    """(name, label values…) -> value, read by Prometheus' own client: what it cannot read fails the test."""
    return {(sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text) for sample in family.samples}


def test_paths_of_a_volume_and_those_that_work(machine: Node, flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    where = (array.endpoint, "k8s-pvc-1")
    found = numbers(prom.page(machine))
    assert found["pure_flex_volume_paths", *where] == found["pure_flex_volume_paths_up", *where] == 2
    assert found["pure_flex_doctor_complete",] == 1 and found["pure_flex_stale_devices",] == 0
    array.disconnect(host_of(array, node), "k8s-pvc-1")
    found = numbers(prom.page(machine))
    assert found["pure_flex_stale_devices",] == 2 and found["pure_flex_findings", "warning"] >= 2


def test_a_path_that_is_lost_counts_no_more(machine: Node, flex: Any, node: Any, array: Any, pod: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """By multipathd's word, and by the kernel's when multipathd is away."""
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    array.set_portal(array.portals[0], "dark")
    expected = {("k8s-pvc-1", array.endpoint): (2, 1)}
    wait_for(lambda: prom.volume_paths(machine.paths) == expected or None, "the checker", 10)
    node.settings.multipathd = "stopped"
    monkeypatch.setattr(Paths, "multipathd_socket", "\0nobody-listens-here")
    assert prom.volume_paths(machine.paths) == expected


def test_failed_calls_are_counted_by_reason(machine: Node, flex: Any, array: Any, pod: Path) -> None:
    """A call that goes well writes nothing; the counts outlive call-outs."""
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    assert counts.read(machine.paths) == {}
    for _ in range(2):
        assert flex("mount", pod / "pvc-2", block(volume="k8s-pvc-2"))["status"] == "Failure"
    flex("expandfs", "{", "/dev/x", pod / "pvc-1", "1", "1")
    found = numbers(prom.page(machine))
    assert found["pure_flex_calls_failed_total", "mount", "NotFound"] == 2
    assert found["pure_flex_calls_failed_total", "expandfs", "ConfigError"] == 1


def test_a_volume_taken_from_another_host_is_counted(machine: Node, flex: Any, array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    array.add_host("node9", iqns=["iqn.2026-01.example:node9"])
    array.connect("node9", "k8s-pvc-1")
    assert numbers(prom.page(machine))["pure_flex_preemptions_total",] == 0
    assert flex("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0")["status"] == "Success"
    assert numbers(prom.page(machine))["pure_flex_preemptions_total",] == 1


def test_many_count_at_once(root: Path) -> None:
    """kubelet makes calls side by side: none of them is lost."""
    paths = Paths(str(root))
    threads = [threading.Thread(target=counts.add, args=(paths, "failed", "mount", "Busy")) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts.read(paths) == {("failed", "mount", "Busy"): 12}
    assert os.listdir(paths.state_dir) == ["counts"]


def test_a_file_that_was_spoilt_is_no_failure(root: Path) -> None:
    paths = Paths(str(root))
    counts.add(paths, "preempted")
    Path(paths.state_dir, "counts").write_bytes(b"preempted 4\nfailed mount\n\xff\xfe\n\nfailed mount Busy x\n")
    counts.add(paths, "preempted")
    assert counts.read(paths) == {("preempted",): 5}
    Path(paths.state_dir, "counts").unlink()
    Path(paths.state_dir, "counts").mkdir()
    counts.add(paths, "preempted")
    assert counts.read(paths) == {}


def test_what_hangs_is_left_out_and_said_so(machine: Node, node: Any) -> None:
    """Whatever does not come costs its own part only, and no more than the limit: here a file that nobody ever writes."""
    file = f"{node.root}/etc/multipath.conf"
    os.mkfifo(file)
    began = time.monotonic()
    found = numbers(prom.page(machine, patience=0.5))
    os.close(os.open(file, os.O_RDWR))              # lets the thread that waits go
    assert time.monotonic() - began < 5
    assert found["pure_flex_doctor_complete",] == 0 and ("pure_flex_preemptions_total",) in found
    assert not [name for name, *_ in found if name == "pure_flex_findings"]


def test_labels_are_escaped() -> None:
    line = prom._family("pure_x", "gauge", "X.", [({"volume": 'a"b\\c\nd'}, 1)])[-1]
    assert line == 'pure_x{volume="a\\"b\\\\c\\nd"} 1'


def test_the_command_ends_with_0_whatever_it_finds(machine: Node, flex: Any, array: Any) -> None:
    """Else `flex doctor -o prom > file && mv file …` would keep a page of trouble back."""
    array.faults.add(reset=True)
    told = CliRunner().invoke(people._group(str(flex.executable)), ["doctor", "-o", "prom"], prog_name="flex")
    assert told.exit_code == 0 and numbers(told.output)["pure_flex_findings", "problem"] >= 1
