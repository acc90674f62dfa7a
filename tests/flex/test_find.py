"""Which array has a volume: the hint first, then all side by side; never "gone" because an array was away."""

from pathlib import Path
from typing import Any

import pytest

from arrays import fleet
from arrays.errors import NotFound, PureError, Refused, TokenRefused, Unreachable
from flex import find
from flex.machine import Node
from flex.paths import Paths
from flex.settings import Settings

GiB = 1 << 30


@pytest.fixture
def asking() -> Node:
    """A node that only asks."""
    return Node(Paths("/nowhere"), Settings({}), "node1")


@pytest.fixture
def second(sim: Any) -> Any:
    return sim.add_flash_array("fa2")


def known(sim: Any) -> fleet.Fleet:
    return fleet.check(sim.pure_json())


def test_the_hinted_array_is_asked_and_nobody_else(sim: Any, array: Any, second: Any, asking: Node) -> None:
    second.add_volume("k8s-pvc-1", GiB)
    found, volume = find.flash_array(asking, known(sim), "k8s-pvc-1", second.endpoint)
    assert (found.name, volume.name, volume.size) == (second.endpoint, "k8s-pvc-1", GiB)
    assert array.requests == []


def test_a_volume_that_has_moved_is_found_elsewhere(sim: Any, array: Any, second: Any, asking: Node) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    found, _ = find.flash_array(asking, known(sim), "k8s-pvc-1", second.endpoint)
    assert found.name == array.endpoint


@pytest.mark.parametrize("hint", ["", "203.0.113.99"])
def test_without_a_usable_hint_all_are_asked(sim: Any, array: Any, second: Any, asking: Node, hint: str) -> None:
    second.add_volume("k8s-pvc-1", GiB)
    found, _ = find.flash_array(asking, known(sim), "k8s-pvc-1", hint)
    assert found.name == second.endpoint


def test_a_silent_array_does_not_hide_what_another_has(sim: Any, array: Any, second: Any, asking: Node) -> None:
    second.add_volume("k8s-pvc-1", GiB)
    asked = known(sim)
    sim.unplug(array)
    found, _ = find.flash_array(asking, asked, "k8s-pvc-1")
    assert found.name == second.endpoint


def test_a_volume_found_nowhere_is_an_error_with_pv_and_arrays(sim: Any, array: Any, second: Any, asking: Node) -> None:
    with pytest.raises(NotFound) as failure:
        find.flash_array(asking, known(sim), "k8s-pvc-1", "", "pvc-1")
    arrays = ", ".join(sorted([array.endpoint, second.endpoint]))
    assert str(failure.value) == f"the fleet has no volume k8s-pvc-1 of PV pvc-1: asked {arrays}"


def test_an_array_left_out_for_a_slip_in_pure_json_is_mentioned(sim: Any, array: Any, asking: Node) -> None:
    listed = sim.pure_json()
    listed["FlashArrays"].append({"MgmtEndPoint": "203.0.113.7"})
    with pytest.raises(NotFound, match=r"FlashArrays\[1\]: add APIToken"):
        find.flash_array(asking, fleet.check(listed), "k8s-pvc-1")


def test_a_fleet_without_arrays_of_the_kind_says_so(sim: Any, blade: Any, asking: Node) -> None:
    with pytest.raises(NotFound, match="/nowhere/etc/pure/pure.json names no array of that kind"):
        find.flash_array(Node(Paths("/nowhere"), Settings({"PURE_FLEX_ROOT": "/nowhere"})), known(sim), "k8s-pvc-1")


def test_a_volume_that_may_be_on_a_silent_array_is_not_gone(sim: Any, array: Any, second: Any, asking: Node) -> None:
    asked = known(sim)
    sim.unplug(array)
    with pytest.raises(Unreachable) as failure:
        find.flash_array(asking, asked, "k8s-pvc-1", "", "pvc-1")
    assert str(failure.value).startswith(
        f"{array.endpoint} cannot be reached: volume k8s-pvc-1 of PV pvc-1 may be there, {second.endpoint} has it not")


def test_the_only_array_speaks_for_itself(sim: Any, array: Any, asking: Node) -> None:
    entry = sim.pure_json()["FlashArrays"][0]
    wrong = fleet.check({"FlashArrays": [{**entry, "APIToken": "00000000-0000-0000-0000-000000000000"}]})
    with pytest.raises(TokenRefused):
        find.flash_array(asking, wrong, "k8s-pvc-1")


def test_a_destroyed_volume_is_not_found(sim: Any, array: Any, asking: Node) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    array.destroy_volume("k8s-pvc-1")
    with pytest.raises(NotFound):
        find.flash_array(asking, known(sim), "k8s-pvc-1")


def test_two_different_volumes_of_one_name_are_not_guessed_between(sim: Any, array: Any, second: Any, asking: Node) -> None:
    """After a copy to another array both have it; one of them has the pod's data."""
    for each in (array, second):
        each.add_volume("k8s-pvc-1", GiB)
    with pytest.raises(Refused, match="each have one: add the option `array`"):
        find.flash_array(asking, known(sim), "k8s-pvc-1")
    found, _ = find.flash_array(asking, known(sim), "k8s-pvc-1", array.endpoint)
    assert found.name == array.endpoint


def test_while_the_hinted_array_is_silent_a_namesake_elsewhere_is_not_taken_for_the_volume(
        sim: Any, array: Any, second: Any, asking: Node) -> None:
    """A copy for a disaster has the volume's name on another array, and yesterday's data: what a pod wrote there would be
    lost as soon as its own array answers again."""
    for each in (array, second):
        each.add_volume("k8s-pvc-1", GiB)
    asked = known(sim)
    sim.unplug(array)
    with pytest.raises(Unreachable, match=f"{array.endpoint} cannot be reached: .*{second.endpoint} has one of that"):
        find.flash_array(asking, asked, "k8s-pvc-1", array.endpoint)


@pytest.fixture
def stretched(sim: Any, array: Any, second: Any) -> fleet.Fleet:
    """Two arrays with a volume of a stretched pod, and the first of them silent."""
    for each in (array, second):
        each.state.pods.create("pod1")
        each.add_volume("pod1::k8s-pvc-1", GiB)
    asked = known(sim)
    sim.unplug(array)
    return asked


def waiting(tmp_path: Path, **settings: str) -> tuple[Node, list[float]]:
    """A node whose clock shows the number in the list."""
    now = [1000.0]
    node = Node(Paths(str(tmp_path)), Settings(settings), "node1")
    node.clock = lambda: now[0]
    return node, now


def test_a_volume_of_a_stretched_pod_is_used_on_its_other_array_after_the_grace(
        array: Any, second: Any, stretched: fleet.Fleet, tmp_path: Path) -> None:
    """Its management may be away for a moment while a pod of another node writes through it: the other array shows nothing
    of that, and what two nodes write at once is lost."""
    node, now = waiting(tmp_path)
    for seconds in (0, 30, 59):
        now[0] = 1000.0 + seconds
        with pytest.raises(Unreachable, match=f"{array.endpoint} .*after 60 s of silence, of which {seconds} s have passed"):
            find.flash_array(node, stretched, "pod1::k8s-pvc-1", array.endpoint)
    now[0] = 1060.0
    found, _ = find.flash_array(node, stretched, "pod1::k8s-pvc-1", array.endpoint)
    assert found.name == second.endpoint


def test_an_array_that_answered_meanwhile_has_the_whole_grace_again(
        sim: Any, array: Any, stretched: fleet.Fleet, tmp_path: Path) -> None:
    node, now = waiting(tmp_path)
    with pytest.raises(Unreachable):
        find.flash_array(node, stretched, "pod1::k8s-pvc-1", array.endpoint)
    sim.plug(array)
    found, _ = find.flash_array(node, stretched, "pod1::k8s-pvc-1", array.endpoint)
    assert found.name == array.endpoint
    sim.unplug(array)
    now[0] += 61.0
    with pytest.raises(Unreachable, match="of which 0 s have passed"):
        find.flash_array(node, stretched, "pod1::k8s-pvc-1", array.endpoint)


def test_the_count_goes_on_while_the_other_array_is_silent_too(
        sim: Any, array: Any, second: Any, stretched: fleet.Fleet, tmp_path: Path) -> None:
    node, now = waiting(tmp_path)
    with pytest.raises(Unreachable, match="of which 0 s have passed"):
        find.flash_array(node, stretched, "pod1::k8s-pvc-1", array.endpoint)
    sim.unplug(second)
    with pytest.raises(Unreachable):
        find.flash_array(node, stretched, "pod1::k8s-pvc-1", array.endpoint)
    sim.plug(second)
    now[0] += 60.0
    found, _ = find.flash_array(node, stretched, "pod1::k8s-pvc-1", array.endpoint)
    assert found.name == second.endpoint


def test_with_preemption_off_a_silent_array_of_a_pod_is_waited_for(
        array: Any, stretched: fleet.Fleet, tmp_path: Path) -> None:
    node, now = waiting(tmp_path, PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT="false")
    for now[0] in (1000.0, 1061.0):
        with pytest.raises(Unreachable, match="Preemption is off"):
            find.flash_array(node, stretched, "pod1::k8s-pvc-1", array.endpoint)


def test_a_volume_of_a_pod_that_has_moved_is_found_at_once(sim: Any, array: Any, second: Any, tmp_path: Path) -> None:
    """The array of the PV answers: it has it no more."""
    second.state.pods.create("pod1")
    second.add_volume("pod1::k8s-pvc-1", GiB)
    found, _ = find.flash_array(waiting(tmp_path)[0], known(sim), "pod1::k8s-pvc-1", array.endpoint)
    assert found.name == second.endpoint


def test_an_array_that_hangs_is_named_in_time(sim: Any, array: Any, second: Any, asking: Node,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "PATIENCE", 0.5)
    array.faults.add(hang=True)
    with pytest.raises(Unreachable, match=f"{array.endpoint} .*no answer in 0.5 s"):
        find.flash_array(asking, known(sim), "k8s-pvc-1")


def test_file_systems_are_looked_for_on_blades(sim: Any, array: Any, blade: Any, asking: Node) -> None:
    blade.add_file_system("k8s-pvc-1", GiB)
    found, system = find.flash_blade(asking, known(sim), "k8s-pvc-1")
    assert (found.name, system.size, array.requests) == (blade.endpoint, GiB, [])


def test_a_pv_that_does_not_tell_its_kind_is_looked_for_on_both(sim: Any, array: Any, blade: Any, asking: Node) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    blade.add_file_system("k8s-pvc-2", GiB)
    assert find.anywhere(asking, known(sim), "k8s-pvc-1")[0].name == array.endpoint
    assert find.anywhere(asking, known(sim), "k8s-pvc-2")[0].name == blade.endpoint


def test_a_bug_in_a_client_is_not_taken_for_an_absent_volume(sim: Any, array: Any, asking: Node,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    from arrays.flasharray import FlashArray
    monkeypatch.setattr(FlashArray, "find_volume", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        find.flash_array(asking, known(sim), "k8s-pvc-1")


def test_no_token_is_in_any_message(sim: Any, array: Any, second: Any, asking: Node) -> None:
    asked = known(sim)
    sim.unplug(array)
    with pytest.raises(PureError) as failure:
        find.flash_array(asking, asked, "k8s-pvc-1")
    assert array.token not in str(failure.value) and second.token not in str(failure.value)
