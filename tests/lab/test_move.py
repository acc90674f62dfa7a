"""A ReadWriteOnce volume moves to the other node (design.md 3.5 rule 6), and what a node leaves that died."""

import threading
import time

from tests.lab.arrays import FlashArray
from tests.lab.lab import Lab
from tests.lab.node import Answer, Node, eventually

SUCCESS = "Success"
GRACE = {"PURE_PREEMPT_RWO_GRACE": "5"}
WRITER = """\
i=0
while [ ! -e /tmp/stop-writing ]; do
    i=$((i + 1)); echo $i >> '{directory}/log'; sync -d '{directory}/log' || exit 1; echo $i > /tmp/written
done
"""


def test_a_living_writer_loses_no_byte(node1: Node, node2: Node, array: FlashArray):
    """The new node's mount comes first and waits, beyond the grace, while the old pod writes; then it has every byte."""
    volume = array.new_volume()
    assert node1.mount("old", volume.pv, volume.options()).status == SUCCESS
    node1.sh("rm -f /tmp/stop-writing /tmp/written")
    writer = WRITER.format(directory=node1.directory("old", volume.pv))
    node1.guest.start_command("sh", "-c", writer)
    node2.set(**GRACE)
    answers: list[Answer] = []
    moving = threading.Thread(target=lambda: answers.append(
        eventually(lambda: node2.mount("new", volume.pv, volume.options()))))
    moving.start()
    time.sleep(15)                           # three times the grace; the writer never pauses
    assert list(volume.connections) == ["node1"]
    node1.sh("touch /tmp/stop-writing; sleep 1")
    assert node1.unmount("old", volume.pv).status == SUCCESS
    moving.join(120)
    node2.set()
    assert answers and answers[0].status == SUCCESS, answers
    written = int(node1.sh("cat /tmp/written"))
    lines = node2.sh(f"cat '{node2.directory('new', volume.pv)}/log'").split()
    assert lines == [str(number) for number in range(1, written + 1)] and written > 10
    assert list(volume.connections) == ["node2"]
    assert node2.unmount("new", volume.pv).status == SUCCESS


def test_a_dead_node_is_preempted_after_the_grace(node1: Node, node2: Node, array: FlashArray):
    """Counted over kubelet's repeats; what was synced is there. The old node comes back and lets go without leftovers."""
    volume = array.new_volume()
    assert node1.mount("old", volume.pv, volume.options()).status == SUCCESS
    node1.sh(f"echo kept > '{node1.directory('old', volume.pv)}/kept'; sync")
    node1.guest.freeze()
    try:
        node2.set(**GRACE)
        began = time.monotonic()
        answer = eventually(lambda: node2.mount("new", volume.pv, volume.options()), timeout=120)
        assert answer.status == SUCCESS, answer
        assert time.monotonic() - began > 5
        assert list(volume.connections) == ["node2"]
        assert node2.sh(f"cat '{node2.directory('new', volume.pv)}/kept'") == "kept\n"
    finally:
        node2.set()
        node1.guest.thaw()
    answer = eventually(lambda: node1.unmount("old", volume.pv), timeout=150)
    assert answer.status == SUCCESS, answer
    view = node1.view(paths=0, maps=0, mounts=0)
    assert (view["paths"], view["maps"], view["mounts"]) == ([], [], [])
    assert node2.sh(f"cat '{node2.directory('new', volume.pv)}/kept'") == "kept\n"
    assert node2.unmount("new", volume.pv).status == SUCCESS
    assert volume.connections == {}


def test_preemption_off_is_refused_naming_the_host(node1: Node, node2: Node, array: FlashArray):
    """Within 30 seconds and some of emulation, and the volume stays where it is."""
    volume = array.new_volume()
    assert node1.mount("old", volume.pv, volume.options()).status == SUCCESS
    node2.set(PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT="false", PURE_PREEMPT_RWO_GRACE="1")
    try:
        answer = node2.mount("new", volume.pv, volume.options())
    finally:
        node2.set()
    assert answer.status == "Failure" and "node1" in answer.message and volume.name in answer.message
    assert answer.seconds < 40
    assert list(volume.connections) == ["node1"]
    assert node2.unmount("new", volume.pv).status == SUCCESS
    assert node1.unmount("old", volume.pv).status == SUCCESS


def test_a_reboot_in_the_middle(node2: Node, array: FlashArray, lab: Lab):
    """Power cut under a mount: kubelet mounts again after the boot and what was synced is there; so is a late unmount."""
    volume, other = array.new_volume(), array.new_volume()
    for each in (volume, other):
        assert node2.mount("pod", each.pv, each.options()).status == SUCCESS
    node2.sh(f"echo kept > '{node2.directory('pod', volume.pv)}/kept'; sync; echo lost > /run/lost")
    lab.reset(node2)
    assert node2.view() == {"sessions": [], "paths": [], "maps": [], "mounts": []}
    assert node2.sh("cat /foreign/hello; ls /run | grep lost || true") == "hello\n"
    assert node2.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert node2.sh(f"cat '{node2.directory('pod', volume.pv)}/kept'") == "kept\n"
    for each in (volume, other):
        assert node2.unmount("pod", each.pv).status == SUCCESS
        assert each.connections == {}
