"""A claim that grows: expandfs (real-kubernetes.md section 4)."""

import json

from simulator.kubelet import Kubelet
from simulator.kubernetes import KubeApi
from simulator.kubernetes.controller import CLAIMS, PODS
from tests.simulator.kubelet.pods import pod, running, words
from tests.simulator.kubelet.recorder import Recorder


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
