"""Growing a mounted volume: from the array to the file system, and never the other way."""

from pathlib import Path
from typing import Any

import pytest

from flex.wait import wait_for
from simulator.node import formats
from tests.flex.blocks import GiB, block, check_mounted, hurry, ran
from tests.flex.driver import SUCCESS


@pytest.fixture
def place(flex: Any, node: Any, array: Any, pod: Path) -> Path:
    """A directory with a volume of 1 GiB mounted on it."""
    hurry(node)
    array.add_volume("k8s-pvc-1", GiB)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    node.write(f"{pod}/pvc-1/hello", "world")
    return pod / "pvc-1"


def expand(flex: Any, place: Path, size: int, *, device: str = "", **own: str) -> dict[str, Any]:
    answer: dict[str, Any] = flex("expandfs", block(**own), device, place, size, GiB)
    return answer


def covered(array: Any) -> int:
    """What the file system on the volume covers."""
    with open(array.volume("k8s-pvc-1").file, "rb") as file:
        found = formats.load(file.fileno())
    return found.size if found else 0


def test_the_array_the_paths_the_map_and_the_file_system_grow(flex: Any, node: Any, array: Any, place: Path) -> None:
    """Nobody else has asked the array: kube-controller-manager takes its own success for done."""
    assert expand(flex, place, 2 * GiB) == SUCCESS
    assert array.volume("k8s-pvc-1").size == 2 * GiB
    assert {path.size for path in node.paths} == {2 * GiB} and node.maps[0].size == 2 * GiB
    assert covered(array) == 2 * GiB and node.read(f"{place}/hello") == "world"


def test_a_volume_that_the_provisioner_has_grown_is_followed(flex: Any, node: Any, array: Any, place: Path) -> None:
    array.resize_volume("k8s-pvc-1", 3 * GiB)
    assert expand(flex, place, 2 * GiB) == SUCCESS
    assert array.volume("k8s-pvc-1").size == 3 * GiB and covered(array) == 3 * GiB


def test_repeats_and_smaller_sizes_change_nothing(flex: Any, node: Any, array: Any, place: Path) -> None:
    """It never shrinks."""
    expand(flex, place, 2 * GiB)
    grown = len(ran(node, "xfs_growfs"))
    for size in (2 * GiB, GiB, 0):
        assert expand(flex, place, size) == SUCCESS
    assert array.volume("k8s-pvc-1").size == covered(array) == 2 * GiB and len(ran(node, "xfs_growfs")) == grown


@pytest.mark.parametrize("device", ["", "/dev/dm-77"], ids=["none", "another"])
def test_the_device_argument_is_not_believed(flex: Any, node: Any, array: Any, place: Path, device: str) -> None:
    assert expand(flex, place, 2 * GiB, device=device) == SUCCESS
    assert covered(array) == 2 * GiB


@pytest.mark.parametrize("fs_type, tool", [("ext4", "resize2fs"), ("btrfs", "btrfs")])
def test_other_file_systems_grow_with_their_own_tool(flex: Any, node: Any, array: Any, pod: Path, fs_type: str,
                                                     tool: str) -> None:
    hurry(node)
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block(fs_type=fs_type))
    before = len(node.commands)
    assert expand(flex, pod / "pvc-1", 2 * GiB, fs_type=fs_type) == SUCCESS
    assert [command.argv[0] for command in node.commands[before:]] == [tool] and covered(array) == 2 * GiB


def test_friendly_names_are_resized_by_name(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """`resize map` fails for the WWID when the map has another name."""
    node.settings.user_friendly_names = True
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    assert expand(flex, pod / "pvc-1", 2 * GiB) == SUCCESS
    assert node.maps[0].alias == "mpatha" and node.maps[0].size == 2 * GiB


def test_an_odd_size_is_rounded_up_to_what_arrays_take(flex: Any, node: Any, array: Any, place: Path) -> None:
    assert expand(flex, place, GiB + 1) == SUCCESS
    assert array.volume("k8s-pvc-1").size == GiB + (1 << 20)


def test_a_path_that_is_down_is_named_and_the_repeat_finishes(flex: Any, node: Any, array: Any, place: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """The map cannot grow while one of its paths is still small."""
    monkeypatch.setattr("flex.device.SIZE", 0.5)
    array.set_portal(array.portals[0], "refused")
    wait_for(lambda: node.refresh() or any(path.state == "transport-offline" for path in node.paths), "the session", 10)
    answer = expand(flex, place, 2 * GiB)
    assert answer["status"] == "Failure" and "sd" in answer["message"] and str(2 * GiB) in answer["message"]
    assert node.maps[0].size == GiB
    array.set_portal(array.portals[0], "up")
    monkeypatch.setattr("flex.device.SIZE", 10.0)
    node.settings.speed = 200
    assert expand(flex, place, 2 * GiB) == SUCCESS
    assert covered(array) == 2 * GiB


def test_a_directory_with_another_volume_is_left_alone(flex: Any, node: Any, array: Any, place: Path) -> None:
    array.add_volume("k8s-pvc-2", GiB)
    answer = flex("expandfs", block("pvc-2"), "", place, 2 * GiB, GiB)
    assert answer["status"] == "Failure"
    assert array.volume("k8s-pvc-2").size == array.volume("k8s-pvc-1").size == GiB


def test_a_volume_that_is_not_mounted_is_told(flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    answer = expand(flex, pod / "pvc-1", 2 * GiB)
    assert answer["status"] == "Failure" and str(pod / "pvc-1") in answer["message"]
    assert array.volume("k8s-pvc-1").size == GiB


def test_a_volume_at_its_limit_says_what_the_array_said(flex: Any, node: Any, array: Any, place: Path) -> None:
    answer = expand(flex, place, 5 << 50)
    assert answer["status"] == "Failure"
    check_mounted(node, array, place)


def test_a_crash_between_the_steps_is_finished_by_the_repeat(flex: Any, node: Any, array: Any, place: Path) -> None:
    from tests.flex.test_block_cuts import killed_at
    number, step, size = 0, "none yet", 2 * GiB
    while step:
        step = killed_at(number, lambda: expand(flex, place, size))
        assert expand(flex, place, size) == SUCCESS, step
        assert covered(array) == node.maps[0].size == array.volume("k8s-pvc-1").size == size, step
        number, size = number + 1, size + GiB
    assert number >= 5
