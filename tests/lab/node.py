"""A guest in the part of a node: its daemons, its driver as kubelet runs it, and what it is seen to hold."""

import json
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.lab.guest.machine import Done, Guest

INSIDE = "tests.lab.inside.node"
PLUGIN = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/pure~flex"
BUNDLED = "/opt/plugins/pure~flex"           # the driver as it is shipped; PLUGIN has the checkout
PODS = "/var/lib/kubelet/pods"
KUBELET_PATIENCE = 120.0                     # seconds within which every call-out has answered
CALL_TIMEOUT = 150.0                         # seconds; beyond what any call-out may take under emulation

# The advice of the vendor's "Linux Recommended Settings" (node-attach.md 2.15).
MULTIPATH_CONF = """\
defaults {
    polling_interval 10
    find_multipaths yes
    user_friendly_names no
}
devices {
    device {
        vendor "PURE"
        product "FlashArray"
        path_selector "service-time 0"
        hardware_handler "1 alua"
        path_grouping_policy group_by_prio
        prio alua
        failback immediate
        path_checker tur
        fast_io_fail_tmo 10
        dev_loss_tmo 600
        no_path_retry 0
    }
}
"""

# What kubelet runs: our code without `site`, as the bundle starts it. PURE_LAB_CUT=n kills it at its n-th step,
# PURE_LAB_TIMES tells where its time went.
LAUNCHER = """\
#!/usr/bin/python3 -IS
import sys
sys.path[:0] = ["/opt/checkout", "/opt/deps"]
import os
if cut := int(os.environ.get("PURE_LAB_CUT", "0")):
    from tests.lab.inside import cut as cutter
    cutter.arm(cut)
if "PURE_LAB_TIMES" in os.environ:
    from tests.lab.inside import times
    times.arm()
from flex.cli import run
run()
"""


@dataclass
class Answer:
    """What the driver said to kubelet: the one JSON object on its streams, and how long it took."""

    status: str
    message: str
    seconds: float
    whole: Mapping[str, Any] = field(repr=False)
    exit_status: int = 0


@dataclass
class Node:
    """Node 1, 2, … of the lab."""

    guest: Guest
    number: int
    settings: dict[str, str] = field(default_factory=dict)
    plugin: str = PLUGIN                                 # where the driver is that `flex` runs
    foreign: list[str] = field(default_factory=list)     # words by which others' devices are told from ours
    before: tuple[str, ...] = ()                         # what the driver is run under
    _env: dict[str, str] = field(default_factory=dict)   # what it finds in its environment
    untouchable: list[list[str]] = field(default_factory=list)       # others' devices, as found at the boot

    @property
    def name(self) -> str:
        return self.guest.name

    @property
    def iqn(self) -> str:
        return f"iqn.2004-10.test.lab:{self.name}"

    # ---- the machine

    def prepare(self, multipath_conf: str = MULTIPATH_CONF) -> None:
        """After each boot: modules, initiator name, daemons."""
        self.call("prepare", self.iqn)
        self.call("start_iscsid")
        self.call("start_multipathd", multipath_conf)

    def call(self, function: str, *args: Any, wait: float = 60.0, **kwargs: Any) -> Any:
        return self.guest.call(f"{INSIDE}:{function}", *args, wait=wait, **kwargs)

    def sh(self, script: str, timeout: float = 60.0, allow: Sequence[int] | None = (0,)) -> str:
        return self.guest.sh(script, timeout, allow).text

    def run(self, *argv: str, timeout: float = 60.0, allow: Sequence[int] | None = (0,)) -> Done:
        return self.guest.run(*argv, timeout=timeout, allow=allow)

    def multipathd(self, request: str) -> str:
        return str(self.call("multipathd", request))

    def use_multipath_conf(self, text: str) -> None:
        """Restart multipathd under another configuration."""
        self.call("stop_multipathd")
        self.call("start_multipathd", text)

    def all_paths_back(self, timeout: float = 60.0) -> None:
        """After a fault: wait until multipathd has every path of every device again."""
        deadline = time.monotonic() + timeout
        while "failed" in self.multipathd('show paths format "%w %t"') and time.monotonic() < deadline:
            time.sleep(0.5)

    def log_out(self, target: str) -> None:
        """End the sessions of a target and forget its records, as on a node that never met the array."""
        self.sh(f"iscsiadm -m node -T {target} --logout; iscsiadm -m node -T {target} -o delete", allow=None)

    # ---- what it holds

    def view(self, **counts: int) -> Mapping[str, Any]:
        """Sessions, paths, maps and mounts that are not foreign; given counts are waited for, briefly."""
        view: Mapping[str, Any] = self.call("wait_view", self.foreign, 5.0, **counts)
        return view

    def foreign_identity(self) -> list[list[str]]:
        """Others' devices, with what would change if anybody removed and found them again."""
        found: list[list[str]] = self.call("identity", self.foreign)
        return found

    def clean(self) -> None:
        """Make a clean table after a failed test, so that the next one is judged by itself."""
        self.call("clean", self.foreign, wait=90.0)
        self.sh("rm -rf /var/lib/pure-flex /run/pure-flex")

    # ---- the driver

    def install_driver(self, pure_json: Mapping[str, Any], ca: str) -> None:
        """Put executable, fleet and settings where the daemon puts them."""
        self.guest.write("/etc/pure/ca.pem", ca)
        self.guest.write(f"{PLUGIN}/flex", LAUNCHER, mode=0o755)
        for plugin in (PLUGIN, BUNDLED):
            self.guest.write(f"{plugin}/.pure.json", json.dumps(pure_json), mode=0o600)
        self.set()

    def use_bundle(self) -> None:
        """Let `flex` run the bundle, until `use_checkout`."""
        self.sh(f"mkdir -p /opt/bundle {BUNDLED}; mountpoint -q /opt/bundle || mount -o ro /dev/vdc /opt/bundle;"
                f"[ -e {BUNDLED}/flex ] || cp -a /opt/bundle/. {BUNDLED}/")
        self.plugin = BUNDLED

    def use_checkout(self) -> None:
        self.plugin = PLUGIN

    def set(self, **settings: str) -> None:
        """Write the driver's settings file: these on top of the lab's; none: back to the lab's."""
        for plugin in (PLUGIN, BUNDLED):
            self.guest.write(f"{plugin}/.settings.json", json.dumps({**self.settings, **settings}), mode=0o600)

    def flex(self, *argv: str, env: Mapping[str, str] | None = None, timeout: float = CALL_TIMEOUT) -> Answer:
        """One call-out as kubelet makes it: both streams together must be one JSON object."""
        began = time.monotonic()
        done = self.guest.run(*self.before, f"{self.plugin}/flex", *argv, env={**self._env, **(env or {})}, timeout=timeout,
                              allow=None)
        seconds = time.monotonic() - began
        try:
            whole = json.loads(done.text)
        except ValueError:
            raise AssertionError(f"{self.name}: flex {shlex.join(argv)} ended with {done.status} and said "
                                 f"{done.text!r}, which kubelet cannot read") from None
        return Answer(whole["status"], whole.get("message", ""), seconds, whole, done.status)

    def spawns(self, call: Callable[[], Answer]) -> list[str]:
        """The programs that a successful call-out started: successful execs of its whole process tree."""
        self.before = ("strace", "-f", "-qq", "-e", "trace=execve", "-e", "signal=none", "-s", "200", "-o", "/tmp/execs")
        try:
            answer = call()
        finally:
            self.before = ()
        assert answer.status == "Success", answer
        lines = [line for line in self.guest.read("/tmp/execs").splitlines() if line.endswith("= 0")]
        return [line for line in lines if f'"{self.plugin}/' not in line]

    def mount(self, pod: str, pv: str, options: Mapping[str, str], **more: Any) -> Answer:
        """kubelet's mount of one PV for one pod; `options` are the PV's."""
        directory = self.directory(pod, pv)
        self.sh(f"mkdir -p '{directory}'")
        return self.flex("mount", directory, json.dumps({**kubelet_options(pod, pv), **options}), **more)

    def unmount(self, pod: str, pv: str, **more: Any) -> Answer:
        return self.flex("unmount", self.directory(pod, pv), **more)

    def expand(self, options: Mapping[str, str], directory: str, pv: str, new: int, old: int) -> Answer:
        """kubelet's expandfs with attach:false: no device, sizes in bytes."""
        return self.flex("expandfs", json.dumps({**kubelet_options("pod", pv), **options}), "", directory, str(new),
                         str(old))

    def cut(self, number: int, call: Callable[[], Answer]) -> str:
        """Make a call-out that is killed at its `number`-th step; returns the step, "" when it got through before."""
        self.sh("rm -f /run/pure-lab-cut")
        self._env = {"PURE_LAB_CUT": str(number)}
        try:
            answer = call()
        except AssertionError:
            return self.guest.read("/run/pure-lab-cut")
        finally:
            self._env = {}
        assert answer.status == "Success", answer
        return ""

    def times(self, call: Callable[[], Answer]) -> dict[str, Any]:
        """Make a call-out of the checkout's and say where its time went: see inside/times.py."""
        self._env = {"PURE_LAB_TIMES": "1"}
        try:
            answer = call()
        finally:
            self._env = {}
        assert answer.status == "Success", answer
        found: dict[str, Any] = json.loads(self.guest.read("/run/pure-lab-times"))
        return found

    def directory(self, pod: str, pv: str) -> str:
        return f"{PODS}/{pod}/volumes/pure~flex/{pv}"

    def log(self) -> str:
        """The driver's log, for a failure's report."""
        return self.guest.run("tail", "-c", "6000", "/var/log/pure-flex.log", allow=None).text


def kubelet_options(pod: str, pv: str) -> dict[str, str]:
    """What kubelet adds to a PV's options with attach:false (real-kubernetes.md section 4)."""
    return {"kubernetes.io/fsType": "", "kubernetes.io/readwrite": "rw", "kubernetes.io/pvOrVolumeName": pv,
            "kubernetes.io/pod.name": pod, "kubernetes.io/pod.namespace": "default", "kubernetes.io/pod.uid": pod,
            "kubernetes.io/serviceAccount.name": "default"}


def eventually(call: Callable[[], Answer], timeout: float = 120.0, pause: float = 0.5) -> Answer:
    """Repeat a call-out as kubelet does until it is a Success; the last answer when it never is."""
    deadline = time.monotonic() + timeout
    while (answer := call()).status != "Success" and time.monotonic() < deadline:
        time.sleep(pause)
    return answer
