"""The driver as nodes get it, and under a kubelet in a container: busybox, kubelet's directories and no tools."""

import time
from collections.abc import Iterator

import pytest

from tests.lab.arrays import FlashArray
from tests.lab.node import BUNDLED, Node

SUCCESS = "Success"
ROOT = "/run/container"
# kubelet's container on RKE: privileged, the host's /sys, kubelet's directory shared in both directions, a /dev of its own.
# Nothing that is mounted for it may show on the host, whose mounts are shared: so /run, where it lies, is its own first.
CONTAINER = f"""\
mount --make-private /run
mount --bind {ROOT} {ROOT}
mount --make-private {ROOT}
mount -t proc proc {ROOT}/proc
mount --rbind /sys {ROOT}/sys
mount -t tmpfs tmpfs {ROOT}/dev
mknod {ROOT}/dev/null c 1 3; mknod {ROOT}/dev/urandom c 1 9; mknod {ROOT}/dev/random c 1 8
mount --bind {BUNDLED} {ROOT}{BUNDLED}
mount --rbind /var/lib/kubelet {ROOT}/var/lib/kubelet
touch {ROOT}/run/.containerenv
cp -a /etc/pure {ROOT}/etc/
exec chroot {ROOT} /bin/busybox sleep 900
"""


@pytest.fixture
def bundled(node1: Node) -> Iterator[Node]:
    """A node on which kubelet runs the bundle instead of the checkout."""
    node1.use_bundle()
    yield node1
    node1.use_checkout()


@pytest.fixture(params=[True, False], ids=["host's processes in sight", "processes of its own"])
def contained(bundled: Node, request: pytest.FixtureRequest) -> Iterator[Node]:
    """A node whose kubelet runs in a container; what it calls, it calls in there."""
    sees_host = request.param
    folders = " ".join(ROOT + folder for folder in ("/bin", "/proc", "/sys", "/dev", "/run", "/tmp", "/etc", "/var/log",
                                                    "/var/lib/kubelet", BUNDLED))
    bundled.sh(f"mkdir -p /var/lib/kubelet {folders}; cp /bin/busybox {ROOT}/bin/")
    pid = bundled.guest.start_command("unshare", "--mount", "--propagation", "unchanged",
                                      *([] if sees_host else ["--pid", "--fork", "--kill-child"]), "sh", "-ec", CONTAINER)
    first = str(pid) if sees_host else bundled.sh(f"until pgrep -P {pid}; do sleep 0.1; done").strip()
    bundled.sh(f"until [ \"$(cat /proc/{first}/comm)\" = busybox ]; do sleep 0.1; done")
    bundled.before = ("nsenter", f"--target={first}", "--mount", "--root", *([] if sees_host else ["--pid"]), "--")
    yield bundled
    bundled.before = ()
    # By SIGKILL: the first process of a PID namespace does not hear SIGTERM, nor does the `unshare` that waits for it.
    bundled.sh(f"kill -KILL {first}; while [ -e /proc/{first} ]; do sleep 0.1; done; rm -r --one-file-system {ROOT}",
               allow=None)


def test_the_bundle(bundled: Node, array: FlashArray):
    """What kubelet runs on a node: its own Python and libraries, no part of the node's; one volume's life."""
    volume = array.new_volume()
    answer = bundled.mount("pod", volume.pv, volume.options())
    assert answer.status == SUCCESS, answer
    bundled.sh(f"echo hello > '{bundled.directory('pod', volume.pv)}/hello'")
    again = time.monotonic()
    assert bundled.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert time.monotonic() - again < answer.seconds
    assert bundled.unmount("pod", volume.pv).status == SUCCESS
    assert volume.connections == {}


def test_kubelet_in_a_container(contained: Node, array: FlashArray, request: pytest.FixtureRequest):
    """It sees the host's processes: the driver works there, and the mount shows in both. Else it says what is missing."""
    volume = array.new_volume()
    directory = contained.directory("pod", volume.pv)
    answer = contained.mount("pod", volume.pv, volume.options())
    if "own" in request.node.name:
        assert answer.status == "Failure" and "extra_binds: [/etc/iscsi:/etc/iscsi" in answer.message, answer
        assert contained.unmount("pod", volume.pv).status == SUCCESS
        return
    assert answer.status == SUCCESS, answer
    inside = (*contained.before, "/bin/busybox")
    contained.run(*inside, "touch", f"{directory}/by-the-pod")
    assert [each["directory"] for each in contained.view(mounts=1)["mounts"]] == [directory]
    assert contained.sh(f"ls '{directory}'").strip() == "by-the-pod"
    assert volume.pv in contained.run("tail", "-n", "3", "/var/log/pure-flex.log").out
    assert contained.run(*inside, "find", "/var/log", "/var/lib", "-name", "pure-flex*").out == ""
    assert contained.unmount("pod", volume.pv).status == SUCCESS
    assert volume.pv not in contained.run(*inside, "cat", "/proc/1/mountinfo", "/proc/self/mountinfo").out
