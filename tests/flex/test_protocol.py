"""The call-out protocol, for both kinds of volume; test_checklist.py says who tests which point of it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flex import state
from flex.paths import Paths
from tests.flex.driver import SUCCESS, Answer, Driver, argument, options
from tests.flex.test_cli import tool

GiB = 1 << 30


class Volume(NamedTuple):
    """One volume of either kind on its array, and the options of its PV."""

    kind: str
    options: dict[str, str]
    other: dict[str, str]           # options of a second volume of the kind
    holder: Any                     # the array


@pytest.fixture(params=["block", "file"])
def volume(request: pytest.FixtureRequest, array: Any, blade: Any) -> Volume:
    """Two volumes of one kind."""
    if request.param == "block":
        for name in ("k8s-pvc-1", "k8s-pvc-2"):
            array.add_volume(name, GiB)
        own = dict(backend="block", namespace="k8s", array=array.endpoint, access="ReadWriteOnce")
        return Volume("block", options("pvc-1", volume="k8s-pvc-1", **own),
                      options("pvc-2", volume="k8s-pvc-2", **own), array)
    for name in ("k8s-pvc-1", "k8s-pvc-2"):
        blade.add_file_system(name, GiB)
    own = dict(backend="file", namespace="k8s", array=blade.endpoint, access="ReadWriteMany")
    return Volume("file", options("pvc-1", volume="k8s-pvc-1", nfs=f"{blade.nfs_endpoint}:/k8s-pvc-1", **own),
                  options("pvc-2", volume="k8s-pvc-2", nfs=f"{blade.nfs_endpoint}:/k8s-pvc-2", **own), blade)


@pytest.fixture
def directory(pod: Path) -> Path:
    """kubelet's directory for the volume."""
    return pod / "pvc-1"


def failed(told: Answer) -> str:
    assert told["status"] == "Failure", told
    return str(told["message"])


def records(node: Any) -> list[state.Record]:
    return state.records(Paths(str(node.root)))


def check_clean(node: Any, volume: Volume) -> None:
    """Nothing of the volume is left on the node, in its memory, or connected on the array."""
    assert (node.mounts, node.maps, node.paths, records(node)) == ([], [], [], [])
    assert volume.kind == "file" or volume.holder.connections("k8s-pvc-1") == {}


# Output

def test_a_whole_life_is_told_in_one_object_a_call(flex: Driver, node: Any, volume: Volume, directory: Path) -> None:
    """Each answer is checked as kubelet reads it (Driver): one object, a known status, nothing on stderr, exit 0."""
    flex("init")
    for call in (["mount", directory, volume.options], ["mount", directory, volume.options],
                 ["expandfs", volume.options, "", directory, str(2 * GiB), str(GiB)],
                 ["unmount", directory], ["unmount", directory]):
        assert flex(*call) == SUCCESS
    check_clean(node, volume)


def test_a_whole_life_in_processes(flex: Driver, flex_process: Any, node: Any, volume: Volume, directory: Path) -> None:
    assert flex_process("mount", directory, volume.options) == SUCCESS
    node.write(f"{directory}/hello", "world")
    assert flex_process("mount", directory, volume.options) == SUCCESS
    assert node.read(f"{directory}/hello") == "world"
    assert flex_process("unmount", directory) == SUCCESS
    check_clean(node, volume)


def test_a_failure_ends_with_status_0_in_a_process_too(flex: Driver, flex_process: Any, node: Any, array: Any,
                                                       directory: Path) -> None:
    """kubelet then keeps the arguments out of its log."""
    assert "k8s-pvc-9" in failed(flex_process("mount", directory, options("pvc-9")))


def test_no_answer_and_no_log_holds_a_secret(flex: Driver, sim: Any, node: Any, volume: Volume, directory: Path) -> None:
    """Driver looks for tokens in each answer; here they are looked for in all the driver wrote, at debug level."""
    secret = options("pvc-1", **{"kubernetes.io/secret/key": "bm90LWEtc2VjcmV0"})
    for call in (["mount", directory, {**volume.options, **secret, **volume.options}], ["unmount", directory],
                 ["mount", directory, {**secret, "volume": "k8s-nowhere"}]):
        flex(*call, PURE_FLEX_DEBUG="true")
    sim.unplug(volume.holder)
    flex("mount", directory, secret, PURE_FLEX_DEBUG="true")
    written = "".join(file.read_text(errors="replace") for file in Path(node.root, "var").rglob("*") if file.is_file())
    for word in (*(each.token for each in sim.arrays), "bm90LWEtc2VjcmV0", "not-a-secret"):
        assert word not in written


def test_an_error_text_of_any_bytes_is_told(flex: Driver, node: Any, blade: Any, directory: Path) -> None:
    folder = Path(node.root) / "instead"
    tool(folder / "mount", r"""printf 'a "quoted"\\ line\nand \377 no text\n' >&2; exit 32""")
    flex.environment["PATH"] = f"{folder}:{flex.environment['PATH']}"
    assert 'a "quoted"\\ line and \ufffd no text' in failed(flex("mount", directory, options(nfs="192.0.2.7:/x")))


def test_names_of_any_bytes_are_told(flex: Driver, node: Any, blade: Any, directory: Path) -> None:
    for text in ('a"b', "a\nb", "a\\b", "ü", "\ud800", "a" * 5000):
        failed(flex("mount", directory, json.dumps({"volume": text})))


@pytest.mark.parametrize("call", ["getvolumename", "attach", "waitforattach", "isattached", "detach", "mountdevice",
                                  "unmountdevice", "expandvolume", "waitfordetach"])
def test_attach_calls_are_not_supported(bare: Driver, call: str) -> None:
    """In the portable profile, by name alone: whatever the arguments are."""
    for words in ([], ["{}"], ["{}", "node1"], ["", "{}"], ["/d", "", "{}"]):
        assert bare(call, *words)["status"] == "Not supported"


def test_a_thousand_inits_change_nothing(bare: Driver, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert len({json.dumps(bare("init")) for _ in range(1000)}) == 1
    assert sorted(tmp_path.rglob("*")) == before


# Options

def test_read_only_is_read_only(flex: Driver, node: Any, volume: Volume, directory: Path) -> None:
    """And never formatted: a blank volume is refused."""
    wanted = {**volume.options, "kubernetes.io/readwrite": "ro"}
    if volume.kind == "block":
        failed(flex("mount", directory, wanted))
        assert not any(command.argv[0].startswith("mkfs") for command in node.commands)
        flex("mount", directory, volume.options)
        flex("unmount", directory)
    assert flex("mount", directory, wanted) == SUCCESS
    assert "ro" in node.mounts[0].options


def test_a_kubelet_of_1_6_sends_no_pod(flex: Driver, node: Any, volume: Volume, directory: Path) -> None:
    early = {key: value for key, value in volume.options.items()
             if not key.startswith(("kubernetes.io/pod.", "kubernetes.io/serviceAccount"))}
    assert flex("mount", directory, early) == SUCCESS


def test_options_without_the_pvs_own_crash_nothing(flex: Driver, node: Any, volume: Volume, directory: Path) -> None:
    """What kubelet rebuilds after its restart: the volume is known by its name, or by the record of the directory."""
    rebuilt = {key: value for key, value in volume.options.items() if key.startswith("kubernetes.io/")}
    assert flex("mount", directory, volume.options) == SUCCESS
    assert flex("mount", directory, rebuilt) == SUCCESS
    assert flex("expandfs", rebuilt, "", directory, str(2 * GiB), str(GiB)) == SUCCESS
    assert len(node.mounts) == 1
    assert flex("unmount", directory) == SUCCESS
    assert flex("mount", directory, rebuilt) == SUCCESS


# Mount

def test_two_pods_mount_one_volume_at_once(flex: Driver, node: Any, volume: Volume, tmp_path: Path) -> None:
    """Both succeed over one device, and give it back when the second is gone."""
    places = [tmp_path / "pods" / uid / "volumes/pure~flex/pvc-1" for uid in ("uid-1", "uid-2")]
    calls = [flex.start("mount", place, volume.options) for place in places]
    assert [flex.finish(call) for call in calls] == [SUCCESS] * 2
    assert sorted(mount.directory for mount in node.mounts) == [str(place) for place in places]
    assert len(node.maps) == (1 if volume.kind == "block" else 0)
    calls = [flex.start("unmount", place) for place in places]
    assert [flex.finish(call) for call in calls] == [SUCCESS] * 2
    check_clean(node, volume)


@pytest.mark.parametrize("volume", ["file"], indirect=True)
@pytest.mark.parametrize("place", ["mnt/kubelet/pods/u/volumes/pure~flex/pvc-1", "opt/a b\tc/pods/u/volumes/pure~flex/pvc-1",
                                   "x"])
def test_kubelets_root_may_be_anywhere(flex: Driver, node: Any, volume: Volume, tmp_path: Path, place: str) -> None:
    for _ in range(2):
        assert flex("mount", tmp_path / place, volume.options) == SUCCESS
    assert len(node.mounts) == 1
    assert flex("unmount", f"{tmp_path}/{place}/") == SUCCESS
    check_clean(node, volume)


def test_a_mount_that_mounts_nothing_is_no_success(flex: Driver, node: Any, volume: Volume, directory: Path) -> None:
    node.faults.fail["mount"] = 0
    failed(flex("mount", directory, volume.options))
    check_clean(node, volume)


# Cut at any point
KILLED = """
import os, sys
from flex import cli
from flex.node import command
left = [int(os.environ["CUT_AFTER"])]
def cut(step):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), 9)
command.at_step = cut
cli.run()
"""


def killed(flex: Driver, step: int, *words: object) -> bool:
    """Make a call that is killed at its step number `step`; False when it has not so many and came to its end."""
    flex.install()
    script = flex.executable.with_name("killed.py")
    script.write_text(KILLED)
    done = subprocess.run([sys.executable, script, *map(argument, words)], capture_output=True, timeout=60,
                          env={**os.environ, **flex.environment, "CUT_AFTER": str(step)})
    assert done.stderr == b""
    return done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("volume", ["file"], indirect=True)
def test_a_mount_killed_at_any_step_is_finished_by_its_repeat(flex: Driver, node: Any, volume: Volume,
                                                              directory: Path) -> None:
    """For block volumes: test_block_cuts."""
    step = 0
    while killed(flex, step, "mount", directory, volume.options):
        assert flex("mount", directory, volume.options) == SUCCESS
        assert len(node.mounts) == 1
        assert flex("unmount", directory) == SUCCESS
        check_clean(node, volume)
        step += 1
    assert step > 2


@pytest.mark.parametrize("volume", ["file"], indirect=True)
def test_an_unmount_killed_at_any_step_is_finished_by_its_repeat(flex: Driver, node: Any, volume: Volume,
                                                                 directory: Path) -> None:
    step = 0
    flex("mount", directory, volume.options)
    while killed(flex, step, "unmount", directory):
        assert flex("unmount", directory) == SUCCESS
        check_clean(node, volume)
        flex("mount", directory, volume.options)
        step += 1
    assert step > 1
    check_clean(node, volume)


# Unmount

def test_unmount_of_what_was_never_mounted(flex: Driver, node: Any, volume: Volume, directory: Path) -> None:
    assert flex("unmount", directory) == SUCCESS
    directory.mkdir()
    assert flex("unmount", directory) == SUCCESS
    assert volume.holder.requests == [] and node.commands == []


# At once

def test_nobody_waits_for_a_volume_that_waits(flex: Driver, node: Any, array: Any, pod: Path) -> None:
    """The first waits for its other host all the time; twenty at once are test_block_parallel's."""
    array.add_host("host5", iqns=["iqn.2000-01.com.example:host5"])
    for number in range(3):
        array.add_volume(f"k8s-pvc-{number}", GiB)
    array.connect("host5", "k8s-pvc-0")
    wanted = [options(f"pvc-{number}", backend="block", array=array.endpoint) for number in range(3)]
    waiting = flex.start("mount", pod / "pvc-0", wanted[0])
    for number in (1, 2):
        assert flex("mount", pod / f"pvc-{number}", wanted[number]) == SUCCESS
    assert waiting.poll() is None
    array.disconnect("host5", "k8s-pvc-0")
    assert flex.finish(waiting) == SUCCESS


@pytest.mark.parametrize("volume", ["file"], indirect=True)
def test_one_pod_leaves_while_another_comes(flex: Driver, node: Any, volume: Volume, tmp_path: Path) -> None:
    """Whoever is first: the pod that comes has its volume, with its device under it."""
    places = [tmp_path / "pods" / uid / "volumes/pure~flex/pvc-1" for uid in ("uid-1", "uid-2")]
    flex("mount", places[0], volume.options)
    for leaves, comes in ((0, 1), (1, 0), (0, 1)):
        calls = [flex.start("unmount", places[leaves]), flex.start("mount", places[comes], volume.options)]
        assert [flex.finish(call) for call in calls] == [SUCCESS] * 2
        assert [mount.directory for mount in node.mounts] == [str(places[comes])]
        node.write(f"{places[comes]}/hello", "world")
        assert node.read(f"{places[comes]}/hello") == "world"
    assert flex("unmount", places[1]) == SUCCESS
    check_clean(node, volume)
