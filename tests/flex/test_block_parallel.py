"""Many call-outs at once, each a process of its own as kubelet starts them: nothing is lost, doubled or left."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from flex import locks
from flex.paths import Paths
from tests.flex.blocks import GiB, block, check_given_back, check_mounted, hurry, ran, records
from tests.flex.driver import SUCCESS

pytestmark = pytest.mark.timeout(300)      # many processes: seconds, and 70 of them with a tenth of one CPU


@pytest.fixture
def start(flex: Any, node: Any) -> Any:
    """Begins a call-out; `finish` gives its answer."""
    hurry(node)
    flex.install()
    fleet = str(flex.executable.with_name(".pure.json"))

    def begin(*words: object) -> Any:
        return flex.start(*words, PURE_DISCOVERY_CONF=fleet, PURE_FLEX_DEBUG="true")
    return begin


def at_once(flex: Any, start: Any, *calls: tuple[object, ...]) -> list[Any]:
    """Make calls side by side; returns the answers that are not plain success.

    The pretend array shares this machine's CPUs with the calls: one that it was too slow for is repeated, as kubelet does.
    """
    running = [(words, start(*words)) for words in calls]
    answers = []
    for words, call in running:
        told = flex.finish(call)
        answers.append(flex.finish(start(*words)) if "cannot be reached: no " in told.get("message", "") else told)
    return [told for told in answers if told != SUCCESS]


def place_of(pod: Path, uid: str, pv: str) -> Path:
    return Path(str(pod).replace("uid-1", uid)) / pv


def test_twenty_volumes_are_mounted_and_given_back_at_once(flex: Any, start: Any, node: Any, array: Any, pod: Path) -> None:
    """The first calls on a node: one login for each portal, one device for each volume, no lock for all."""
    pvs = [f"pvc-{number}" for number in range(20)]
    for pv in pvs:
        array.add_volume(f"k8s-{pv}", GiB)
    assert at_once(flex, start, *(("mount", pod / pv, block(pv)) for pv in pvs)) == []
    assert len(node.sessions) == len(array.portals) and len(node.maps) == len(pvs)
    assert len([argv for argv in ran(node, "iscsiadm") if "--login" in argv]) == len(array.portals)
    for pv in pvs:
        check_mounted(node, array, pod / pv, f"k8s-{pv}")
        node.write(f"{pod}/{pv}/name", pv)
    assert at_once(flex, start, *(("unmount", pod / pv) for pv in pvs)) == []
    for pv in pvs:
        check_given_back(node, array, f"k8s-{pv}")


def test_a_volume_whose_turn_does_not_come_is_not_touched(flex: Any, node: Any, array: Any, pod: Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    """Many are attached at once already: nothing is connected that would have to be undone, and the repeat succeeds."""
    array.add_volume("k8s-pvc-1", GiB)
    hurry(node)
    monkeypatch.setattr("flex.block.TURN", 0.2)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with contextlib.ExitStack() as held:
        for _ in range(locks.TURNS):
            held.enter_context(locks.device_turn(Paths(str(node.root)), 0))
        answer = flex("mount", pod / "pvc-1", block())
        assert answer["status"] == "Failure" and "other volumes are being attached" in answer["message"]
        check_given_back(node, array)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    check_mounted(node, array, pod / "pvc-1")


def test_two_pods_that_start_at_once_share_one_device(flex: Any, start: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    places = [place_of(pod, uid, "pvc-1") for uid in ("uid-1", "uid-2", "uid-3")]
    assert at_once(flex, start, *(("mount", place, block()) for place in places)) == []
    assert len(node.maps) == 1 and len(node.mounts) == 3 and len(ran(node, "mkfs.xfs")) == 1
    assert at_once(flex, start, *(("unmount", place) for place in places)) == []
    check_given_back(node, array)


def test_a_call_repeated_while_it_still_runs_is_success_twice(flex: Any, start: Any, node: Any, array: Any,
                                                              pod: Path) -> None:
    """kubelet was restarted in the middle."""
    array.add_volume("k8s-pvc-1", GiB)
    assert at_once(flex, start, *(("mount", pod / "pvc-1", block()) for _ in range(2))) == []
    assert len(node.mounts) == 1
    assert at_once(flex, start, *(("unmount", pod / "pvc-1") for _ in range(2))) == []
    check_given_back(node, array)


def test_a_mount_never_loses_its_device_to_another_pods_unmount(flex: Any, start: Any, node: Any, array: Any,
                                                                pod: Path) -> None:
    """Whichever comes first."""
    array.add_volume("k8s-pvc-1", GiB)
    old, new = place_of(pod, "uid-0", "pvc-1"), place_of(pod, "uid-1", "pvc-1")
    assert flex("mount", old, block()) == SUCCESS
    node.write(f"{old}/count", "0")
    for turn in range(1, 5):
        assert at_once(flex, start, ("unmount", old), ("mount", new, block())) == []
        check_mounted(node, array, new)
        assert node.read(f"{new}/count") == str(turn - 1)
        node.write(f"{new}/count", str(turn))
        old, new = new, old
    assert flex("unmount", old) == SUCCESS
    check_given_back(node, array)
    assert records(node) == [] and len(ran(node, "mkfs.xfs")) == 1
