"""`flex doctor` on a node: nothing to say about one that is whole, and a line for each thing that can be missing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.arrays import Arrays, FlashArray
from tests.lab.lab import NFS_ADDRESS, PORTALS
from tests.lab.node import MULTIPATH_CONF, PLUGIN, Node

AWAY = "/root/away"
PROGRAMS = ("/sbin/iscsiadm", "/sbin/mkfs.xfs", "/sbin/mount.nfs", "/usr/sbin/xfs_growfs")
ELSEWHERE = "/var/lib/kubelet/volumeplugins"
KUBELET = "/run/kubelet"                     # an interpreter under kubelet's name, asleep


@pytest.fixture
def healed(node1: Node, arrays: Arrays) -> Iterator[Node]:
    """A node whose owner puts everything right afterwards."""
    yield node1
    node1.sh(f"if [ -d {AWAY} ]; then cp -a {AWAY}/. /; rm -r {AWAY}; fi; pgrep -x iscsid >/dev/null || iscsid;"
             "pkill -x kubelet || true")
    told = arrays.fleet("pure_json", ["fa1", "fb1"])
    node1.install_driver(told["json"], told["ca"])
    node1.use_multipath_conf(MULTIPATH_CONF)


def doctor(node: Node, *options: str) -> tuple[int, str]:
    done = node.run(f"{PLUGIN}/flex", "doctor", *options, allow=(0, 1))
    assert not done.err, done.err
    return done.status, done.out


def lines(text: str) -> list[dict[str, Any]]:
    return [{**line, "whole": f"{line['subject']}: {line['text']} -> {line['remedy']}"} for line in json.loads(text)]


def test_a_whole_node_has_nothing_to_mend(healed: Node, array: FlashArray):
    """Exit status 0; people see only what is worth knowing, programs everything: sessions with LUNs, both arrays, tools."""
    volume = array.new_volume()
    assert healed.mount("pod", volume.pv, volume.options()).status == "Success"
    status, text = doctor(healed, "-o", "json")
    found = lines(text)
    assert status == 0 and {line["level"] for line in found} <= {"ok", "note"}, text
    told = "\n".join(line["whole"] for line in found)
    for part in (healed.iqn, "iscsid: runs", "multipathd: runs", "has a section for PURE", "find_multipaths: on",
                 "mkfs.xfs", "mount.nfs", *(f"portal {portal}: session" for portal in PORTALS), "1 LUNs",
                 "FlashBlade fb1", f"NFS at {NFS_ADDRESS}: can be reached"):
        assert part in told, (part, told)
    volume.disconnect("node1")
    status, text = doctor(healed)
    assert status == 0 and text.count("a device that the array does not show any more") == 2, text
    assert healed.unmount("pod", volume.pv).status == "Success"


def test_addresses_that_do_not_answer(healed: Node, array: FlashArray):
    """A silent portal is a warning that says what to check; without its management the array is a problem."""
    healed.log_out(array.iqn)
    array.portal(PORTALS[1], "dark")
    try:
        status, text = doctor(healed, "-o", "json")
    finally:
        array.portal(PORTALS[1], "up")
    levels = [next(line["level"] for line in lines(text) if portal in line["text"]) for portal in PORTALS]
    assert status == 0 and levels[0] in ("ok", "note") and levels[1] == "warning", text
    array.unplug()
    try:
        status, text = doctor(healed)
    finally:
        array.plug()
    assert status == 1 and array.pure_json_name in text, text


def test_everything_missing_has_a_line_of_its_own(healed: Node, array: FlashArray):
    """No initiator name, daemons, programs or valid token, kubelet looking elsewhere: status 1, each with its remedy."""
    for file in (*PROGRAMS, "/etc/iscsi/initiatorname.iscsi"):
        healed.sh(f"folder=$(realpath $(dirname {file})); mkdir -p {AWAY}$folder; mv {file} {AWAY}$folder/")
    healed.call("stop_multipathd")
    healed.sh("pkill -x iscsid; while pgrep -x iscsid >/dev/null; do sleep 0.1; done")
    whole = json.loads(healed.guest.read(f"{PLUGIN}/.pure.json"))
    whole["FlashArrays"][0]["APIToken"] = "00000000-dead-0000-dead-000000000000"
    healed.guest.write(f"{PLUGIN}/.pure.json", json.dumps(whole), mode=0o600)
    healed.sh(f"cp $(realpath /usr/bin/python3) {KUBELET}")
    healed.guest.start_command(KUBELET, "-c", "import time; time.sleep(600)", f"--volume-plugin-dir={ELSEWHERE}")

    status, text = doctor(healed)
    assert status == 1
    for subject, *parts in (("initiator", "no iSCSI initiator name", "apt-get install open-iscsi"),
                            ("iscsiadm", "not installed", "apt-get install open-iscsi"),
                            ("iscsid", "does not run", "systemctl enable --now iscsid"),
                            ("multipathd", "not running", "systemctl enable --now multipathd"),
                            ("mkfs.xfs", "not installed", "apt-get install xfsprogs"),
                            ("xfs_growfs", "not installed", "apt-get install xfsprogs"),
                            ("mount.nfs", "not installed", "apt-get install nfs-common"),
                            (array.pure_json_name, "token"),
                            ("kubelet", f"looks for drivers in {ELSEWHERE}", f"set flexPath to {ELSEWHERE}")):
        hits = [line for line in text.splitlines() if line.split()[1] == subject and all(part in line for part in parts)]
        assert hits, (subject, parts, text)
    assert "00000000-dead" not in text


def test_what_is_set_up_badly_is_warned_about(healed: Node):
    """No PURE section, queueing for ever: warnings with the lines to add, exit status 0."""
    healed.use_multipath_conf("defaults {\n find_multipaths smart\n no_path_retry queue\n}\n"
                              "blacklist {\n devnode \"^vd[a-z]\"\n}\n")
    status, text = doctor(healed, "-o", "json")
    assert status == 0, text
    found = {line["subject"]: line for line in lines(text) if line["level"] == "warning"}
    assert 'product "FlashArray"' in found["multipath.conf"]["remedy"]
    assert "for ever" in found["no_path_retry"]["text"]
