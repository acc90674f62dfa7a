"""A pod's life: which calls come, in which order, and what a failure of each leads to (real-kubernetes.md section 4)."""

import json
from pathlib import Path
from typing import Any

from simulator.kubelet import CallOut, Kubelet
from simulator.kubernetes import KubeApi
from simulator.kubernetes.controller import CLAIMS, PODS
from tests.simulator.kubeclient import claim, provisioned
from tests.simulator.kubelet.pods import gone, pod, running, words
from tests.simulator.kubelet.recorder import Recorder, started


def test_a_pods_life_is_init_mount_unmount(api: KubeApi, kubelet: Kubelet, tmp_path: Path) -> None:
    """init twice, one mount with the recorded argv, one unmount with the directory, which is then removed."""
    made = api.create(pod())
    running(api)
    name = api.get(CLAIMS, "data")["spec"]["volumeName"]
    directory = tmp_path / "kubelet/pods" / made["metadata"]["uid"] / "volumes/pure~flex" / name
    mount = kubelet.calls[-1]
    assert mount.arguments[0] == str(directory) and directory.stat().st_mode & 0o777 == 0o750
    assert json.loads(mount.arguments[1]) == {
        "kubernetes.io/fsType": "xfs", "kubernetes.io/readwrite": "rw", "kubernetes.io/pvOrVolumeName": name,
        "kubernetes.io/pod.name": "web", "kubernetes.io/pod.namespace": "default",
        "kubernetes.io/pod.uid": made["metadata"]["uid"], "kubernetes.io/serviceAccount.name": "default",
        "volume": "k8s-x", "mountOptions": "a<b&c"}
    assert r"a\u003cb\u0026c" in mount.arguments[1]
    assert mount.milliseconds > 0 and mount.status == "Success"
    api.delete(PODS, "web")
    gone(api)
    assert words(kubelet) == ["init", "init", "mount", "unmount"]
    assert kubelet.calls[-1].arguments == (str(directory),)
    assert not (tmp_path / "kubelet/pods" / made["metadata"]["uid"]).exists()


def test_a_failed_mount_is_repeated_in_a_new_directory(api: KubeApi, recorder: Recorder, kubelet: Kubelet) -> None:
    """Failure becomes a FailedMount event in the driver's words; the repeat succeeds."""
    recorder.answer("mount", {"status": "Failure", "message": "waits for host node2"})
    made = api.create(pod())
    event = api.wait_for(lambda: api.events("web", "FailedMount"), "the event")[0]
    assert event["message"].endswith(": mount command failed, status: Failure, reason: waits for host node2")
    api.wait_for(lambda: words(kubelet).count("mount") >= 2, "a second try")
    recorder.answer("mount", None)
    running(api)
    assert kubelet.volumes.found()[0][0] == made["metadata"]["uid"]


def test_without_driver_there_is_no_plugin(api: KubeApi, recorder: Recorder, kubelet: Kubelet) -> None:
    """The pod waits with the words users know, and starts when the driver is installed."""
    away = recorder.executable.with_name(".flex")
    recorder.executable.rename(away)
    api.create(pod())
    event = api.wait_for(lambda: api.events("web", "FailedMount"), "the event")[0]
    assert event["message"].endswith("no volume plugin matched")
    away.rename(recorder.executable)
    running(api)


def test_two_pods_of_a_node_are_mounted_side_by_side(api: KubeApi, recorder: Recorder, kubelet: Kubelet) -> None:
    """Without an attach phase nothing serialises them."""
    with recorder.held("mount"):
        for name in ("a", "b"):
            api.create(pod(name))
        api.wait_for(lambda: recorder.asked("mount") == 2, "both mount calls")
    for name in ("a", "b"):
        running(api, name)


def test_a_pod_deleted_during_its_mount_is_unmounted_after_it(api: KubeApi, recorder: Recorder, kubelet: Kubelet) -> None:
    """The call is never cut short; unmount follows, the container never starts."""
    with recorder.held("mount"):
        api.create(pod())
        api.wait_for(lambda: recorder.asked("mount"), "the mount call")
        api.delete(PODS, "web")
    gone(api)
    assert words(kubelet) == ["init", "init", "mount", "unmount"]
    assert (recorder.home / "mounted").read_text() == ""


def test_unmount_is_repeated_for_ever_and_the_pod_waits(api: KubeApi, recorder: Recorder, kubelet: Kubelet) -> None:
    """Pod deletion waits for it."""
    api.create(pod())
    running(api)
    recorder.answer("unmount", {"status": "Failure", "message": "busy"})
    api.delete(PODS, "web")
    api.wait_for(lambda: words(kubelet).count("unmount") >= 3, "three tries")
    assert api.get(PODS, "web") is not None
    recorder.answer("unmount", None)
    gone(api)


def test_left_over_files_keep_the_pod_terminating(api: KubeApi, recorder: Recorder, kubelet: Kubelet) -> None:
    """After unmount kubelet does a plain rmdir."""
    api.create(pod())
    running(api)
    directory = Path(kubelet.calls[-1].arguments[0])
    (directory / "state.json").touch()
    api.delete(PODS, "web")
    event = api.wait_for(lambda: api.events("web", "FailedUnmount"), "the event")[0]
    assert "not empty" in event["message"]
    (directory / "state.json").unlink()
    gone(api)


def test_the_container_runs_between_and_has_its_grace(api: KubeApi, recorder: Recorder, tmp_path: Path) -> None:
    """It starts when all is mounted and is stopped before anything is unmounted."""
    story: list[str] = []

    class Container:
        def stop(self, grace: float) -> None:
            story.append(f"stop {grace:g}")

        def kill(self) -> None:
            story.append("kill")

    def start(of: dict[str, Any], directories: dict[str, Path]) -> Container:
        story.append(f"start {sorted(directories)}")
        return Container()

    def tell(call: CallOut) -> None:
        story.append(call.call)

    with started(api, recorder, tmp_path, start=start, tell=tell):
        api.create(pod())
        running(api)
        api.delete(PODS, "web")
        gone(api)
    assert story == ["init", "init", "mount", "start ['vol']", "stop 1", "unmount"]


def test_mount_options_of_a_pv_never_reach_the_driver(api: KubeApi, kubelet: Kubelet) -> None:
    """kubelet refuses them for FlexVolume before it calls anything."""
    api.patch("persistentvolumes", api.get(CLAIMS, "data")["spec"]["volumeName"], {"spec": {"mountOptions": ["discard"]}})
    api.create(pod())
    event = api.wait_for(lambda: api.events("web", "FailedMount"), "the event")[0]
    assert event["message"].endswith("Mount options are not supported for this volume type")
    assert kubelet.calls == []


def test_a_pod_waits_for_its_claim(api: KubeApi, kubelet: Kubelet) -> None:
    """No call of the driver before the claim is bound."""
    api.create(pod(volumes=[{"name": "vol", "persistentVolumeClaim": {"claimName": "later"}}]))
    made = api.create(claim("later"))
    assert kubelet.calls == []
    api.create(provisioned(made))
    running(api)
