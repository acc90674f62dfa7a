"""How a driver's answers are read and what it is told: as the real kubelet was seen to do (real-kubernetes.md section 4)."""

import json
import os

import pytest

from simulator.kubelet import Driver, DriverFailed
from simulator.kubelet.driver import parse
from simulator.kubelet.options import mount_options
from tests.simulator.kubelet.pods import pod
from tests.simulator.kubelet.recorder import Recorder


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


def test_capabilities_keep_their_defaults(recorder: Recorder) -> None:
    """Missing members: attach, fsGroup, selinuxRelabel, requiresFSResize true, supportsMetrics false."""
    driver = Driver(recorder.plugins, "node1")
    driver.look_up()
    assert driver.capabilities == {"attach": False, "selinuxRelabel": True, "fsGroup": True, "supportsMetrics": False,
                                   "requiresFSResize": True}


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
