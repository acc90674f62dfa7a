"""A ReadWriteOnce volume that another host holds: who waits how long, who takes, and who never does."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from flex import preempt
from flex.wait import wait_for
from tests.flex.blocks import GiB, block, check_given_back, check_mounted, failure, host_of, hurry
from tests.flex.driver import SUCCESS


@pytest.fixture(autouse=True)
def held(flex: Any, node: Any, node2: Any, array: Any, pod: Path) -> None:
    """A volume that node1 has mounted, with a file on it."""
    hurry(node)
    hurry(node2)
    array.add_volume("k8s-pvc-1", GiB)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    node.write(f"{pod}/pvc-1/hello", "world")


def keep_busy(array: Any, stop: threading.Event) -> threading.Thread:
    """Somebody writes to the volume until told to stop; the array's monitor sees it."""
    def write() -> None:
        while not stop.wait(0.02):
            array.count_io("k8s-pvc-1", writes=5, written_bytes=20480)
    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    wait_for(lambda: array.state.monitor.volume(array.volume("k8s-pvc-1").serial).writes_per_sec, "the monitor", 10)
    return thread


# The old node lives

def test_the_new_node_waits_until_the_old_one_has_let_go_and_no_byte_is_lost(flex: Any, flex2: Any, node: Any,
                                                                             node2: Any, array: Any, pod: Path) -> None:
    """A Deployment's pod moves: the new mount comes first, while the old pod still writes (design.md 3.5, rule 6)."""
    answers: list[Any] = []
    new = threading.Thread(target=lambda: answers.append(flex2.process(
        "mount", pod / "pvc-1", block(), PURE_DISCOVERY_CONF=str(flex.executable.with_name(".pure.json")))))
    new.start()
    time.sleep(0.6)
    assert list(array.connections("k8s-pvc-1")) == [host_of(array, node)]
    node.write(f"{pod}/pvc-1/last", "words")
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    new.join()
    assert answers == [SUCCESS]
    assert node2.read(f"{pod}/pvc-1/last") == "words" and node2.read(f"{pod}/pvc-1/hello") == "world"
    check_given_back(node, array)
    told = Path(f"{node2.root}/var/log/pure-flex.log").read_text()
    assert f"waiting: volume k8s-pvc-1 is still connected to host {host_of(array, node)}" in told
    assert "volume k8s-pvc-1 was let go after" in told


def test_a_host_that_still_writes_is_waited_for_longer_than_the_grace(flex2: Any, node: Any, node2: Any, array: Any,
                                                                      pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody alive is writing: up to ten times the grace."""
    monkeypatch.setattr("flex.preempt.PATIENCE", 1.5)
    stop = threading.Event()
    writer = keep_busy(array, stop)
    message = failure(flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0.4"))
    stop.set()
    writer.join()
    assert host_of(array, node) in message and "k8s-pvc-1" in message and "still being read or written" in message
    assert list(array.connections("k8s-pvc-1")) == [host_of(array, node)]


def test_after_ten_times_the_grace_even_a_writer_is_preempted(flex2: Any, node: Any, node2: Any, array: Any,
                                                              pod: Path) -> None:
    node.power_off()
    stop = threading.Event()
    writer = keep_busy(array, stop)
    start = time.monotonic()
    assert flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0.15") == SUCCESS
    stop.set()
    writer.join()
    assert time.monotonic() - start >= 1.5
    assert list(array.connections("k8s-pvc-1")) == [host_of(array, node2)]


# The old node is dead

def test_a_silent_host_is_preempted_when_the_grace_has_passed(flex: Any, flex2: Any, node: Any, node2: Any, array: Any,
                                                              pod: Path) -> None:
    """AT-53; what was written and synced before it died is there."""
    node.power_off()
    start = time.monotonic()
    assert flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0.6") == SUCCESS
    assert 0.6 <= time.monotonic() - start < 5
    assert list(array.connections("k8s-pvc-1")) == [host_of(array, node2)]
    assert node2.read(f"{pod}/pvc-1/hello") == "world"
    check_mounted(node2, array, pod / "pvc-1")


def test_the_grace_is_counted_over_kubelets_repeats(flex2: Any, node: Any, node2: Any, array: Any, pod: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flex.preempt.PATIENCE", 0.3)
    node.power_off()
    start, calls = time.monotonic(), 0
    while (answer := flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="1")) != SUCCESS:
        assert host_of(array, node) in failure(answer)
        calls += 1
    assert calls >= 2 and 1.0 <= time.monotonic() - start < 10


def test_each_call_ends_in_time_to_tell_the_pods_events(flex2: Any, node: Any, array: Any, pod: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flex.preempt.PATIENCE", 0.4)
    start = time.monotonic()
    message = failure(flex2("mount", pod / "pvc-1", block()))
    assert time.monotonic() - start < 5
    assert host_of(array, node) in message and "taken over after" in message
    monkeypatch.undo()
    assert preempt.PATIENCE <= 30


def test_a_grace_of_nothing_takes_at_once_as_the_original_did(flex2: Any, node: Any, node2: Any, array: Any,
                                                              pod: Path) -> None:
    node.power_off()
    assert flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0") == SUCCESS
    assert list(array.connections("k8s-pvc-1")) == [host_of(array, node2)]


def test_a_preempted_node_gives_back_what_is_left_there(flex: Any, flex2: Any, node: Any, node2: Any, array: Any,
                                                        pod: Path) -> None:
    assert flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0") == SUCCESS
    node.refresh()
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    check_given_back(node, array)
    assert len(node.sessions) == len(array.portals)
    assert node2.read(f"{pod}/pvc-1/hello") == "world"
    assert list(array.connections("k8s-pvc-1")) == [host_of(array, node2)]


def test_a_volume_does_not_come_back_to_a_node_that_still_has_the_old_mount(flex: Any, flex2: Any, node: Any, node2: Any,
                                                                            array: Any, pod: Path) -> None:
    """What that node has cached is out of date: written back, it would destroy what was written since."""
    assert flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0") == SUCCESS
    node2.write(f"{pod}/pvc-1/newer", "data")
    flex2("unmount", pod / "pvc-1")
    second = Path(str(pod).replace("uid-1", "uid-2")) / "pvc-1"
    message = failure(flex("mount", second, block()))
    assert str(pod / "pvc-1") in message and "out of date" in message
    assert array.connections("k8s-pvc-1") == {}
    node.refresh()
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert flex("mount", second, block()) == SUCCESS
    assert node.read(f"{second}/newer") == "data"


def test_the_grace_is_each_hosts_own(flex: Any, flex2: Any, node: Any, array: Any, pod: Path,
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """While this node waits, the old host lets go and a third one is quicker: it is asked for from then on."""
    monkeypatch.setattr("flex.preempt.PATIENCE", 0.5)
    failure(flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0.8"))
    array.add_host("third", iqns=["iqn.2000-01.example:third"])

    def swap() -> None:
        array.disconnect(host_of(array, node), "k8s-pvc-1")
        array.connect("third", "k8s-pvc-1")
    monkeypatch.setattr("flex.preempt.FIRST_PAUSE", 0.2)
    quicker = threading.Timer(0.1, swap)
    quicker.start()
    message = failure(flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0.8"))
    quicker.join()
    assert "third" in message and list(array.connections("k8s-pvc-1")) == ["third"]


def test_of_several_hosts_each_has_its_grace(flex2: Any, node: Any, array: Any, pod: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flex.preempt.PATIENCE", 1.0)
    failure(flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="1.8"))
    array.add_host("third", iqns=["iqn.2000-01.example:third"])
    array.connect("third", "k8s-pvc-1")
    assert "third" in failure(flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="1.8"))
    assert set(array.connections("k8s-pvc-1")) == {host_of(array, node), "third"}


def test_another_pod_waits_anew(flex2: Any, node: Any, array: Any, pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod asked for a moment and was deleted; minutes later the next one comes, because the old one is being ended."""
    monkeypatch.setattr("flex.preempt.PATIENCE", 0.3)
    failure(flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0.6"))
    time.sleep(0.4)
    second = Path(str(pod).replace("uid-1", "uid-2")) / "pvc-1"
    assert host_of(array, node) in failure(flex2("mount", second, block(), PURE_PREEMPT_RWO_GRACE="0.6"))
    assert list(array.connections("k8s-pvc-1")) == [host_of(array, node)]


# Never

def test_with_preemption_off_it_is_refused_naming_the_host(flex2: Any, node: Any, array: Any, pod: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """AT-55."""
    monkeypatch.setattr("flex.preempt.PATIENCE", 0.4)
    node.power_off()
    message = failure(flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT="false",
                            PURE_PREEMPT_RWO_GRACE="0"))
    assert host_of(array, node) in message and "Preemption is off" in message
    assert list(array.connections("k8s-pvc-1")) == [host_of(array, node)]


def test_with_preemption_off_it_still_waits_for_the_host_to_let_go(flex: Any, flex2: Any, node: Any, node2: Any,
                                                                   array: Any, pod: Path) -> None:
    let_go = threading.Timer(0.4, array.disconnect, (host_of(array, node), "k8s-pvc-1"))
    let_go.start()
    assert flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT="false") == SUCCESS
    let_go.join()
    check_mounted(node2, array, pod / "pvc-1")


def test_a_missing_access_mode_means_read_write_once(flex2: Any, node: Any, array: Any, pod: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """PVs of the original driver do not say."""
    monkeypatch.setattr("flex.preempt.PATIENCE", 0.2)
    assert host_of(array, node) in failure(flex2("mount", pod / "pvc-1", block(access="")))


def test_what_a_host_group_shows_is_not_undone(flex: Any, flex2: Any, node: Any, node2: Any, array: Any, pod: Path) -> None:
    """An administrator's doing; only who is silent and connected by itself is preempted."""
    array.add_volume("k8s-pvc-2", GiB)
    array.add_host("stranger", iqns=["iqn.2000-01.example:stranger"], group="cluster")
    array.connect_group("cluster", "k8s-pvc-2")
    message = failure(flex2("mount", pod / "pvc-2", block("pvc-2"), PURE_PREEMPT_RWO_GRACE="0"))
    assert "stranger" in message and "host group" in message
    assert list(array.connections("k8s-pvc-2")) == ["stranger"]


def test_a_volume_shared_with_our_own_group_is_mounted_when_nobody_uses_it(flex2: Any, node2: Any, array: Any,
                                                                           pod: Path) -> None:
    array.add_volume("k8s-pvc-2", GiB)
    array.add_host("stranger", iqns=["iqn.2000-01.example:stranger"], group="cluster")
    array.add_host("node2", iqns=[node2.iqn], group="cluster")
    array.connect_group("cluster", "k8s-pvc-2")
    assert flex2("mount", pod / "pvc-2", block("pvc-2"), PURE_PREEMPT_RWO_GRACE="0.2") == SUCCESS
    assert set(array.connections("k8s-pvc-2")) == {"stranger", "node2"}
    assert flex2("unmount", pod / "pvc-2") == SUCCESS
    assert set(array.connections("k8s-pvc-2")) == {"stranger", "node2"} and node2.maps == []


def test_a_host_object_of_several_machines_hides_nobody(flex: Any, flex2: Any, node: Any, node2: Any, array: Any,
                                                        pod: Path) -> None:
    """An administrator put both nodes' initiators into one: what is connected to it may be mounted on the other node."""
    hosts, shared = array.state.hosts, array.state.hosts.get(host_of(array, node))
    hosts.change_initiators(shared, "iqn", replace=[node.iqn, node2.iqn])
    message = failure(flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0"))
    assert "k8s-pvc-1" in message and shared.name in message and node.iqn in message
    assert list(array.connections("k8s-pvc-1")) == [shared.name] and not node2.mounts
    assert flex("mount", pod.parent / "other" / "pvc-1", block()) == SUCCESS
    for directory in (pod, pod.parent / "other"):
        assert flex("unmount", directory / "pvc-1") == SUCCESS
    for directory in (pod, pod.parent / "other"):
        assert flex2("mount", directory / "pvc-1", block()) == SUCCESS


# Two that come at once

def test_two_nodes_that_ask_at_once_do_not_both_get_it(flex: Any, flex2: Any, node: Any, node2: Any, array: Any, pod: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    """Two replicas with one claim: both see a volume that nobody has, and one is quicker while the other still logs in."""
    array.add_volume("k8s-pvc-2", GiB)
    answers = []

    def meanwhile(step: str) -> None:
        if step == "recorded" and not answers:
            answers.append(flex2.process("mount", pod / "pvc-2", block("pvc-2"),
                                         PURE_DISCOVERY_CONF=str(flex.executable.with_name(".pure.json"))))
    with monkeypatch.context() as patch:
        patch.setattr("flex.node.command.at_step", meanwhile)
        message = failure(flex("mount", pod / "pvc-2", block("pvc-2")))
    assert answers == [SUCCESS]
    assert host_of(array, node2) in message and "k8s-pvc-2" in message
    assert list(array.connections("k8s-pvc-2")) == [host_of(array, node2)]
    check_mounted(node2, array, pod / "pvc-2", "k8s-pvc-2")
    assert [mount.directory for mount in node.mounts] == [f"{pod}/pvc-1"]
