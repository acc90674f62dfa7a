"""kubelet or its node ends and begins again: which calls come, and which do not."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.kubernetes import KubeApi
from simulator.kubernetes.controller import PODS
from tests.simulator.kubelet.pods import gone, pod, running, words
from tests.simulator.kubelet.recorder import Recorder, started


def test_a_restarted_kubelet_takes_a_mount_point_for_done(api: KubeApi, recorder: Recorder, tmp_path: Path) -> None:
    """No mount call for the pod that is there, an unmount for the one that is gone."""
    with started(api, recorder, tmp_path):
        for name in ("stays", "goes"):
            api.create(pod(name))
            running(api, name)
    api.delete(PODS, "goes", gracePeriodSeconds=0)
    with started(api, recorder, tmp_path) as again:
        running(api, "stays")
        api.wait_for(lambda: "unmount" in words(again), "the clean-up")
        time.sleep(0.05)
        assert words(again) == ["init", "init", "unmount"]


def test_a_pod_that_ends_while_the_node_boots_is_only_unmounted(api: KubeApi, recorder: Recorder, tmp_path: Path) -> None:
    """After a reboot its directory is there, its mount is not: unmount comes, mount does not, the pod goes away."""
    with started(api, recorder, tmp_path) as agent:
        api.create(pod())
        running(api)
        agent.power_off()
    (recorder.home / "mounted").write_text("")
    api.delete(PODS, "web")
    with started(api, recorder, tmp_path) as again:
        gone(api)
        assert words(again) == ["init", "init", "unmount"]


def test_power_off_ends_everything_at_once(api: KubeApi, recorder: Recorder, tmp_path: Path) -> None:
    """A running call dies, nothing is unmounted, the pod stays in the API."""
    recorder.slow("mount", 30)
    agent = started(api, recorder, tmp_path)
    with agent:
        api.create(pod())
        api.wait_for(lambda: recorder.asked("mount"), "the mount call")
        began = time.monotonic()
        agent.power_off()
        assert time.monotonic() - began < 5
        api.delete(PODS, "web")
        assert api.get(PODS, "web")["metadata"]["deletionTimestamp"]
    assert "unmount" not in words(agent)
    assert api.events("web", "FailedMount") == []


def test_threads_end_with_the_kubelet(api: KubeApi, recorder: Recorder, tmp_path: Path) -> None:
    """Nothing is left behind but the mounts."""
    with started(api, recorder, tmp_path):
        api.create(pod())
        running(api)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("pod-")] == []


def test_likely_mount_point_compares_device_numbers(tmp_path: Path) -> None:
    """/proc is one, a fresh directory is not, a missing one is an error of its own."""
    from simulator.kubelet.volumes import likely_mount_point
    check: Callable[[Path], bool] = likely_mount_point
    assert check(Path("/proc")) and not check(tmp_path)
    with pytest.raises(FileNotFoundError):
        check(tmp_path / "missing")
