"""kill -9 at every step boundary of mount and of unmount, then the repeat kubelet makes; calls side by side."""

import os
import threading

import pytest

from tests.lab.arrays import FlashArray
from tests.lab.node import Answer, Node, eventually

SUCCESS = "Success"
VOLUMES = int(os.environ.get("PURE_LAB_VOLUMES", "20"))
MANY = 400.0                                 # seconds for all of them, kubelet's repeats included
STEPS = 60                                   # more than any call-out has
CUT = "/run/pure-lab-cut"


@pytest.mark.timeout(900)
def test_mount_and_unmount_cut_at_each_step(node1: Node, array: FlashArray):
    """Whatever step was the last: the repeat is a Success, no byte is lost, and nothing is left on node and array."""
    seen: dict[str, list[str]] = {"mount": [], "unmount": []}
    for number in range(1, STEPS):
        volume = array.new_volume()
        at_mount = node1.cut(number, lambda: node1.mount("pod", volume.pv, volume.options()))
        if at_mount:
            answer = eventually(lambda: node1.mount("pod", volume.pv, volume.options()))
            assert answer.status == SUCCESS, (at_mount, answer)
        node1.sh(f"echo 'written by {volume.pv}' > '{node1.directory('pod', volume.pv)}/data'")
        at_unmount = node1.cut(number, lambda: node1.unmount("pod", volume.pv))
        if at_unmount:
            answer = eventually(lambda: node1.unmount("pod", volume.pv))
            assert answer.status == SUCCESS, (at_unmount, answer)
        nothing_left(node1, f"{at_mount}, {at_unmount}")
        assert volume.connections == {}, (at_mount, at_unmount)
        assert volume.holds(f"written by {volume.pv}"), (at_mount, at_unmount)
        seen["mount"].append(at_mount)
        seen["unmount"].append(at_unmount)
        if not at_mount and not at_unmount:
            break
    print(*seen["mount"], *seen["unmount"], sep="\n  ")
    assert len(seen["mount"]) > 8 and seen["unmount"].index("") > 5


@pytest.mark.timeout(900)
def test_a_mount_given_up_after_a_cut_leaves_nothing(node1: Node, array: FlashArray):
    """kubelet never repeats the mount (the pod was deleted): its unmount releases what the cut call had begun.

    Each third boundary: what a cut leaves differs little from one to the next, and this is the third walk.
    """
    for number in range(1, STEPS, 3):
        volume = array.new_volume()
        step = node1.cut(number, lambda: node1.mount("pod", volume.pv, volume.options()))
        answer = eventually(lambda: node1.unmount("pod", volume.pv))
        assert answer.status == SUCCESS, (step, answer)
        nothing_left(node1, step)
        assert volume.connections == {}, step
        if not step:
            break


@pytest.mark.timeout(900)
def test_many_volumes_at_once(node1: Node, array: FlashArray):
    """All mounted side by side, each its own; all unmounted side by side."""
    volumes = [array.new_volume() for _ in range(VOLUMES)]
    answers = together([lambda v=v: eventually(lambda: node1.mount("pod", v.pv, v.options()), MANY) for v in volumes])
    assert {answer.status for answer in answers} == {SUCCESS}, answers
    view = node1.view(paths=2 * VOLUMES, maps=VOLUMES, mounts=VOLUMES)
    assert [len(view[key]) for key in ("paths", "maps", "mounts")] == [2 * VOLUMES, VOLUMES, VOLUMES]
    by_map = {held["device"]: held["uuid"] for held in view["maps"]}
    for volume in volumes:
        mount, = [each for each in view["mounts"] if each["directory"] == node1.directory("pod", volume.pv)]
        number = int(mount["device"].split(":")[1])
        assert by_map[f"dm-{number}"] == f"mpath-{volume.wwid}"
    answers = together([lambda v=v: eventually(lambda: node1.unmount("pod", v.pv), MANY) for v in volumes])
    assert {answer.status for answer in answers} == {SUCCESS}, answers
    nothing_left(node1, "after many")
    assert [volume.connections for volume in volumes] == [{}] * VOLUMES


def test_two_pods_of_one_volume_at_once(node1: Node, array: FlashArray):
    """One device, one format, two mounts."""
    volume = array.new_volume()
    answers = together([lambda pod=pod: node1.mount(pod, volume.pv, volume.options()) for pod in ("one", "two")])
    assert [answer.status for answer in answers] == [SUCCESS] * 2, answers
    assert len(node1.view()["maps"]) == 1 and len(node1.view()["mounts"]) == 2
    answers = together([lambda pod=pod: node1.unmount(pod, volume.pv) for pod in ("one", "two")])
    assert [answer.status for answer in answers] == [SUCCESS] * 2, answers
    assert volume.connections == {}


def test_mount_while_the_other_pod_unmounts(node1: Node, array: FlashArray):
    """Crossed calls: the new pod has the volume afterwards, whichever came first."""
    volume = array.new_volume()
    assert node1.mount("old", volume.pv, volume.options()).status == SUCCESS
    node1.sh(f"echo hello > '{node1.directory('old', volume.pv)}/hello'")
    gone, come = together([lambda: node1.unmount("old", volume.pv),
                           lambda: eventually(lambda: node1.mount("new", volume.pv, volume.options()))])
    assert (gone.status, come.status) == (SUCCESS, SUCCESS), (gone, come)
    assert node1.sh(f"cat '{node1.directory('new', volume.pv)}/hello'") == "hello\n"
    assert list(volume.connections) == ["node1"]
    assert node1.unmount("new", volume.pv).status == SUCCESS


def test_the_arrays_management_away_at_unmount(node1: Node, array: FlashArray):
    """Everything local is released, the Failure says that only the disconnection is left, the repeat finishes it."""
    volume = array.new_volume()
    assert node1.mount("pod", volume.pv, volume.options()).status == SUCCESS
    array.unplug()
    try:
        answer = node1.unmount("pod", volume.pv)
        assert answer.status == "Failure" and "disconnect" in answer.message, answer
        nothing_left(node1, "management away")
    finally:
        array.plug()
    assert eventually(lambda: node1.unmount("pod", volume.pv)).status == SUCCESS
    assert volume.connections == {}


def together(calls) -> list[Answer]:
    """All calls at the same time; their answers in the same order."""
    answers: dict[int, Answer] = {}
    threads = [threading.Thread(target=lambda n=n, call=call: answers.__setitem__(n, call()))
               for n, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[n] for n in range(len(calls))]


def nothing_left(node: Node, when: str) -> None:
    view = node.view(paths=0, maps=0, mounts=0)
    assert (view["paths"], view["maps"], view["mounts"]) == ([], [], []), when
