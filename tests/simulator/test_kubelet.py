"""The stand-in kubelet executes a driver as the real one was seen to do (real-kubernetes.md section 4)."""
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.kubelet import CallOut, Driver, DriverFailed, Kubelet
from simulator.kubelet.driver import parse
from simulator.kubelet.options import mount_options
from simulator.kubernetes import Binder, KubeApi
from simulator.kubernetes.controller import CLAIMS, PODS
from tests.simulator.kubeclient import claim, provisioned, storage_class

DRIVER = """#!/bin/sh
# Answers with the file named for the call, else with Success; "mounted" stands for the kernel's mount table.
cd {home}
echo "$@" >> calls
case "$1" in
mount) [ -e answer-mount ] || echo "$2" >> mounted ;;
unmount) [ -e answer-unmount ] || {{ grep -vxF "$2" mounted > kept; cat kept > mounted; }} ;;
esac
[ -e "slow-$1" ] && sleep "$(cat "slow-$1")"
if [ -e "answer-$1" ]; then cat "answer-$1"; elif [ "$1" = init ]; then
echo '{{"status":"Success","capabilities":{{"attach":false,"requiresFSResize":true}}}}'; else
echo '{{"status":"Success"}}'; fi
"""


class Recorder:
    """A shell script in the driver's place, and what it was asked."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.plugins = home / "exec"
        self.executable = self.plugins / "pure~flex" / "flex"
        self.executable.parent.mkdir(parents=True)
        self.executable.write_text(DRIVER.format(home=home))
        self.executable.chmod(0o755)
        (home / "mounted").touch()

    def answer(self, call: str, text: str | dict[str, Any] | None) -> None:
        """What the driver says to a call from now on; None: Success again."""
        path = self.home / f"answer-{call}"
        if text is None:
            path.unlink()
        else:
            path.write_text(text if isinstance(text, str) else json.dumps(text))

    def slow(self, call: str, seconds: float) -> None:
        """Let a call take its time."""
        (self.home / f"slow-{call}").write_text(str(seconds))

    def is_mount_point(self, directory: Path) -> bool:
        """What the kernel would say."""
        os.stat(directory)
        return str(directory) in (self.home / "mounted").read_text().splitlines()


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """A driver that always succeeds, until told otherwise."""
    return Recorder(tmp_path)


@pytest.fixture
def api() -> Iterator[KubeApi]:
    """A cluster with class pure and claim data, bound."""
    with KubeApi() as server, Binder(server):
        server.create(storage_class(allowVolumeExpansion=True))
        made = server.create(claim("data", "1Gi"))
        server.create(provisioned(made, flexVolume={"driver": "pure/flex", "fsType": "xfs", "options": {
            "volume": "k8s-x", "mountOptions": "a<b&c"}}))
        server.wait_for(lambda: server.get(CLAIMS, "data")["status"]["phase"] == "Bound", "the claim bound")
        yield server


@pytest.fixture
def kubelet(api: KubeApi, recorder: Recorder, tmp_path: Path) -> Iterator[Kubelet]:
    """kubelet of node1, in a hurry."""
    with started(api, recorder, tmp_path) as agent:
        yield agent


def started(api: KubeApi, recorder: Recorder, home: Path, **more: Any) -> Kubelet:
    """A kubelet whose retries come after 20 ms, 40 ms …"""
    return Kubelet(api, "node1", home / "kubelet", recorder.plugins, is_mount_point=recorder.is_mount_point, backoff=0.04,
                   **more)


def pod(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A pod on node1 with claim data."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": {
        "nodeName": "node1", "terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "none"}],
        "volumes": [{"name": "vol", "persistentVolumeClaim": {"claimName": "data"}}], **spec}}


def running(api: KubeApi, name: str = "web") -> dict[str, Any]:
    """Wait until a pod runs."""
    def look() -> dict[str, Any] | None:
        found = api.get(PODS, name)
        return found if found and found["status"]["phase"] == "Running" else None
    return api.wait_for(look, f"pod {name} running")


def gone(api: KubeApi, name: str = "web") -> None:
    """Wait until a pod is no more."""
    api.wait_for(lambda: api.get(PODS, name) is None, f"the end of pod {name}")


def words(kubelet: Kubelet) -> list[str]:
    """The calls in order."""
    return [call.call for call in kubelet.calls]


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


@pytest.mark.parametrize(("text", "complaint"), [
    ("", "unexpected end of JSON input"), ("warning: no config\n{\"status\":\"Success\"}", "Expecting value"),
    ('{"status":"Success"}{"status":"Success"}', "Extra data"), ("[]", "cannot unmarshal list"),
    ('{"status":"Success","attached":"true"}', "cannot unmarshal str")])
def test_any_stray_byte_fails_the_call(recorder: Recorder, text: str, complaint: str) -> None:
    """stdout and stderr are one document."""
    recorder.answer("mount", text)
    driver = Driver(recorder.plugins, "node1")
    with pytest.raises(DriverFailed, match="failed to unmarshal output for command: mount") as failed:
        driver.call("mount", "/x", "{}")
    assert complaint in str(failed.value)


def test_stderr_is_part_of_the_output(recorder: Recorder) -> None:
    """One word there, and a success is none."""
    recorder.executable.write_text("#!/bin/sh\necho '{\"status\":\"Success\"}'\necho hello >&2\n")
    with pytest.raises(DriverFailed, match="hello"):
        Driver(recorder.plugins, "node1").look_up()


def test_keys_match_whatever_their_case() -> None:
    """As Go's decoder does."""
    answer, complaint = parse('{"Status":"Success","Device":"/dev/x","other":1}')
    assert (answer, complaint) == ({"status": "Success", "message": "", "device": "/dev/x", "other": 1}, "")


def test_success_with_an_exit_status_is_a_failure(recorder: Recorder) -> None:
    """A driver bug that kubelet names."""
    recorder.executable.write_text("#!/bin/sh\necho '{\"status\":\"Success\"}'\nexit 3\n")
    with pytest.raises(DriverFailed, match="exit status 3"):
        Driver(recorder.plugins, "node1").look_up()


def test_not_supported_is_remembered_until_the_next_probe(recorder: Recorder) -> None:
    """The second mount does not even run the driver; a touched executable is probed again."""
    driver = Driver(recorder.plugins, "node1")
    recorder.answer("expandfs", {"status": "Not supported"})
    for _ in range(2):
        with pytest.raises(Exception, match="expandfs"):
            driver.call("expandfs")
    assert [call.call for call in driver.calls] == ["init", "init", "expandfs"]
    os.utime(recorder.executable)
    recorder.answer("expandfs", None)
    driver.call("expandfs")
    assert [call.call for call in driver.calls][3:] == ["init", "expandfs"]


def test_without_driver_there_is_no_plugin(api: KubeApi, recorder: Recorder, kubelet: Kubelet) -> None:
    """The pod waits with the words users know, and starts when the driver is installed."""
    away = recorder.executable.with_name(".flex")
    recorder.executable.rename(away)
    api.create(pod())
    event = api.wait_for(lambda: api.events("web", "FailedMount"), "the event")[0]
    assert event["message"].endswith("no volume plugin matched")
    away.rename(recorder.executable)
    running(api)


def test_capabilities_keep_their_defaults(recorder: Recorder) -> None:
    """Missing members: attach, fsGroup, selinuxRelabel, requiresFSResize true, supportsMetrics false."""
    driver = Driver(recorder.plugins, "node1")
    driver.look_up()
    assert driver.capabilities == {"attach": False, "selinuxRelabel": True, "fsGroup": True, "supportsMetrics": False,
                                   "requiresFSResize": True}


def test_two_pods_of_a_node_are_mounted_side_by_side(api: KubeApi, recorder: Recorder, kubelet: Kubelet) -> None:
    """Without an attach phase nothing serialises them."""
    recorder.slow("mount", 0.3)
    for name in ("a", "b"):
        api.create(pod(name))
    for name in ("a", "b"):
        running(api, name)
    first, second = [call for call in kubelet.calls if call.call == "mount"]
    assert abs(first.began - second.began) < 0.25


def test_a_pod_deleted_during_its_mount_is_unmounted_after_it(api: KubeApi, recorder: Recorder, kubelet: Kubelet) -> None:
    """The call is never cut short; unmount follows, the container never starts."""
    recorder.slow("mount", 0.3)
    api.create(pod())
    api.wait_for(lambda: (recorder.home / "calls").exists() and "mount" in (recorder.home / "calls").read_text(), "mount")
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
        api.wait_for(lambda: "mount" in (recorder.home / "calls").read_text() if (recorder.home / "calls").exists()
                     else False, "the mount call")
        began = time.monotonic()
        agent.power_off()
        assert time.monotonic() - began < 5
        api.delete(PODS, "web")
        assert api.get(PODS, "web")["metadata"]["deletionTimestamp"]
    assert "unmount" not in words(agent)
    assert api.events("web", "FailedMount") == []


def test_a_growing_claim_calls_expandfs_once(api: KubeApi, kubelet: Kubelet) -> None:
    """expandfs OPTIONS "" DIR new old; on success the claim's status is finished (real-kubernetes.md section 4)."""
    api.create(pod())
    running(api)
    api.patch(CLAIMS, "data", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
    api.wait_for(lambda: api.get(CLAIMS, "data")["status"]["capacity"]["storage"] == "2Gi", "the claim's new capacity")
    [expand] = [call for call in kubelet.calls if call.call == "expandfs"]
    mount = next(call for call in kubelet.calls if call.call == "mount")
    options, device, directory, new, old = expand.arguments
    assert (device, directory, new, old) == ("", mount.arguments[0], "2147483648", "1073741824")
    assert "kubernetes.io/pod.name" not in json.loads(options)
    assert api.get(CLAIMS, "data")["status"].get("conditions") is None
    api.wait_for(lambda: api.events("web", "FileSystemResizeSuccessful"), "the event")


def test_growth_without_a_pod_is_finished_at_the_next_mount(api: KubeApi, recorder: Recorder, kubelet: Kubelet) -> None:
    """A failing expandfs keeps the pod from starting, and is repeated."""
    api.patch(CLAIMS, "data", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
    api.wait_for(lambda: api.get(CLAIMS, "data")["status"].get("conditions"), "the binder's half")
    recorder.answer("expandfs", {"status": "Failure", "message": "array away"})
    api.create(pod())
    api.wait_for(lambda: words(kubelet).count("expandfs") >= 2, "a second try")
    assert api.get(PODS, "web")["status"]["phase"] == "Pending"
    recorder.answer("expandfs", None)
    running(api)
    assert words(kubelet).count("mount") == 1


def test_mount_options_of_a_pv_never_reach_the_driver(api: KubeApi, kubelet: Kubelet) -> None:
    """kubelet refuses them for FlexVolume before it calls anything."""
    api.patch("persistentvolumes", api.get(CLAIMS, "data")["spec"]["volumeName"], {"spec": {"mountOptions": ["discard"]}})
    api.create(pod())
    event = api.wait_for(lambda: api.events("web", "FailedMount"), "the event")[0]
    assert event["message"].endswith("Mount options are not supported for this volume type")
    assert kubelet.calls == []


@pytest.mark.parametrize(("minor", "keys"), [
    (6, {"kubernetes.io/fsGroup"}), (14, {"kubernetes.io/fsGroup", "kubernetes.io/pod.uid"}),
    (15, {"kubernetes.io/mounterArgs.FsGroup", "kubernetes.io/pod.uid"})])
def test_option_keys_changed_over_the_versions(minor: int, keys: set[str]) -> None:
    """Pod keys came with 1.7, fsGroup was renamed in 1.15; user options win; secrets are base64."""
    made = pod(securityContext={"fsGroup": 2000})
    made["metadata"]["uid"] = "u"
    pv = {"metadata": {"name": "pv1"}, "spec": {"flexVolume": {"driver": "pure/flex", "options": {"volume": "v"}}}}
    found = json.loads(mount_options(pv, made, read_only=True, minor=minor, secrets={"token": b"x"}))
    assert keys <= set(found) and ("kubernetes.io/pod.uid" in keys) == ("kubernetes.io/pod.uid" in found)
    assert (found["kubernetes.io/readwrite"], found["kubernetes.io/fsType"]) == ("ro", "")
    assert found["kubernetes.io/secret/token"] == "eA=="


def test_a_pod_waits_for_its_claim(api: KubeApi, kubelet: Kubelet) -> None:
    """No call of the driver before the claim is bound."""
    api.create(pod(volumes=[{"name": "vol", "persistentVolumeClaim": {"claimName": "later"}}]))
    made = api.create(claim("later"))
    assert kubelet.calls == []
    api.create(provisioned(made))
    running(api)


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
