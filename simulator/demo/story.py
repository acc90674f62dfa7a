"""The demo's story, chapter by chapter; what it states was checked first against the arrays, the API or the data."""
import json
import time

from simulator.demo.cluster import Cluster
from simulator.demo.evidence import Evidence, Watch
from simulator.demo.nodes import GRACE, Member
from simulator.demo.workload import Journal, whole
from simulator.kubelet import CallOut
from simulator.kubernetes.controller import CLAIMS, PODS, PVS

GiB = 1 << 30
PREFIX = "k8s-"


class Story:
    """Tells it on a running cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.screen = cluster.screen
        self.api = cluster.api
        self.arrays = cluster.arrays
        self.node1, self.node2 = cluster.nodes
        self.evidence = Evidence(cluster, "", "")

    def tell(self) -> None:
        """All chapters; an exception ends them early."""
        self.claim_becomes_volume()
        self.pod_writes()
        self.pod_moves()
        self.node_dies()
        self.node_returns()
        self.both_nodes_share()
        self.claim_grows()
        self.claims_end()
        self.nothing_leaked()

    def claim_becomes_volume(self) -> None:
        """Placement: by label, then by fill; by label alone."""
        self.screen.chapter("A claim becomes a volume on the less full array that matches")
        self.cluster.apply("daemonset/storageclasses.yaml", "examples/class.yaml", "examples/claim-labels.yaml")
        began = time.monotonic()
        claim, pv = self.cluster.bound("pg-volume")
        took = (time.monotonic() - began) * 1000
        name = pv["metadata"]["name"]
        self.evidence = Evidence(self.cluster, name, PREFIX + name)
        array, volume = self.arrays.volume(PREFIX + name)
        self.screen.check(f"claim pg-volume is Bound to {name} ({took:.0f} ms)",
                          name == f"pvc-{claim['metadata']['uid']}")
        fill = {one["name"]: one["used"] / one["capacity"] for one in self.arrays.flash_arrays if
                one["labels"]["env"] == "dev"}
        full = ", ".join(f"{name} is {used:.0%} full" for name, used in fill.items())
        self.screen.check(f"volume {PREFIX}{name} of 15 GiB is on {array}: of those with env=dev, {full}",
                          array == min(fill, key=lambda name: fill[name]) and volume["size"] == 15 * GiB, str(volume))
        self.screen.check("nobody uses it yet: no host is connected", not self._holders())
        self.cluster.until(lambda: self.api.events("pg-volume", "ProvisioningSucceeded"), "event ProvisioningSucceeded", 5)
        self.cluster.apply("examples/claim-expressions.yaml")
        _, archive = self.cluster.bound("archive")
        found, _ = self.arrays.volume(PREFIX + archive["metadata"]["name"])
        self.screen.check("claim archive asks for rack-0 and gets fa1, although fa2 is less full", found == "fa1", found)

    def pod_writes(self) -> None:
        """The first mount: connect, login, map, mkfs, mount."""
        self.screen.chapter("A pod of a Deployment starts on node1, its volume is mounted, it writes")
        self.cluster.apply("examples/postgres.yaml")
        self.cluster.running("pg", "node1")
        journal = self.node1.journals[-1]
        self.cluster.until(lambda: journal.lines >= 5 or journal.error, "five lines in the journal")
        self.screen.check("the volume is connected to node1 alone", self._holders() == {"node1"}, str(self._holders()))
        kind = "a real xfs on a loop device" if self.cluster.real else "an xfs (pretended)"
        self.screen.check(f"{kind} is mounted with discard, from the multipath device that carries the volume's serial",
                          self.evidence.mounted_well(self.node1), str(self.node1.machine.mounts))
        text = self.evidence.journal(self.node1)
        self.screen.check(f"{journal.lines} lines written, read back through the mount",
                          whole(text, journal.life, 5) and not journal.error, journal.error)

    def pod_moves(self) -> None:
        """The new node's mount comes first, and waits."""
        self.screen.chapter("The pod moves the way a Deployment's does: the new mount begins while the old pod still writes")
        first = self.node1.journals[-1]
        old = self.cluster.running("pg", "node1")["metadata"]["name"]
        with Watch(self.evidence) as watch:
            self.screen.command("kubectl drain node1")
            self.cluster.deployments.cordon("node1")
            before = first.lines
            first.may_end.clear()        # a database that takes its time to shut down
            self.api.delete(PODS, old)
            self.cluster.until(lambda: self.node2.waits_for or self.evidence.done(self.node2, "mount"),
                               "node2's driver waiting")
            waiting, alone = self.node2.waits_for, self._holders() == {"node1"}
            self.cluster.until(lambda: first.lines > before + 5 or first.error, "more lines of the first life")
            self.screen.check("node2's mount waits for node1, which has the volume and goes on writing",
                              alone and any("node1" in name for name in waiting), f"{waiting}, {self._holders()}")
            first.may_end.set()
            self.cluster.running("pg", "node2")
        mount, unmount = self.evidence.done(self.node2, "mount")[-1], self.evidence.done(self.node1, "unmount")[-1]
        self.screen.check(f"it began {unmount.began - mount.began:.1f} s before node1's unmount and ended after it",
                          mount.began < unmount.began and _end(mount) > _end(unmount))
        self.screen.check(f"the first pod wrote {first.lines - before} lines in its grace period, none failed",
                          first.lines > before and not first.error, first.error)
        self.screen.check(f"never was the volume connected to two nodes (looked {watch.looks} times)",
                          watch.looks > 5 and not watch.together, str(watch.together))
        self._tell_kept(self.node2, [first])
        self.screen.check("node1 has let go of everything: no device, no mount",
                          not self.node1.machine.maps and not self.node1.machine.mounts)

    def node_dies(self) -> None:
        """Nobody unmounts; the volume is taken from the silent host after the grace."""
        self.screen.chapter(f"node2 loses power: after {GRACE:g} s of silence node1 takes the volume over")
        lives = [self.node1.journals[-1], self.node2.journals[-1]]
        self.cluster.until(lambda: lives[1].lines >= 5, "five lines of the second life")
        self.cluster.deployments.cordon("node1", on=False)
        mounts = len(self.evidence.done(self.node1, "mount"))
        self.node2.power_off()
        dead = self.node2.machine
        self.screen.check("node2 is off: no mount, no session; but to the array the volume is still connected to it",
                          not dead.mounts and not dead.sessions and self._holders() == {"node2"}, str(self._holders()))
        self.cluster.deployments.node_dead("node2")
        self.cluster.running("pg", "node1")
        mount = self.evidence.done(self.node1, "mount")[mounts]
        self.screen.check(f"taken over after {mount.milliseconds / 1000:.1f} s, not before the grace of {GRACE:g} s",
                          mount.milliseconds >= GRACE * 1000 and self._holders() == {"node1"}, str(self._holders()))
        self._tell_kept(self.node1, lives)

    def node_returns(self) -> None:
        """kubelet unmounts what it finds; nothing is taken from the living."""
        self.screen.chapter("node2 boots again and clears up")
        self.node2.power_on()
        self.cluster.deployments.node_back("node2")
        self.cluster.until(lambda: not self.node2.kubelet.volumes.found(), "node2's old directory removed")
        journal = self.node1.journals[-1]
        lines = journal.lines
        self.cluster.until(lambda: journal.lines > lines + 2 or journal.error, "more lines on node1")
        self.screen.check("its unmount took nothing from node1, which writes on",
                          self._holders() == {"node1"} and not journal.error, f"{self._holders()} {journal.error}")

    def both_nodes_share(self) -> None:
        """A FlashBlade file system on both nodes."""
        self.screen.chapter("A claim that many nodes may write: one FlashBlade file system on both")
        self.cluster.apply("examples/claim-shared.yaml", "examples/web.yaml")
        _, pv = self.cluster.bound("shared")
        name = pv["metadata"]["name"]
        for member in (self.node1, self.node2):
            self.cluster.running("web", member.name)
        [blade] = self.arrays.flash_blades
        source = f"{blade['nfs_endpoint']}:/{PREFIX}{name}"
        mounted = [mount for member in self.cluster.nodes for mount in member.machine.mounts if mount.source == source]
        self.screen.check(f"file system {PREFIX}{name} is on fb1, mounted by NFS on both nodes, unknown to the FlashArrays",
                          bool(self.arrays.file_system(PREFIX + name)) and len(mounted) == 2
                          and not self.arrays.volume(PREFIX + name)[0], str(mounted))
        here, there = self.node1.directory(name), self.node2.directory(name)
        if here and there:
            for writer, from_, reader, to in ((self.node1, here, self.node2, there),
                                              (self.node2, there, self.node1, here)):
                text = f"written on {writer.name}\n"
                writer.machine.write(str(from_ / writer.name), text)
                self.screen.check(f"what {writer.name} writes {reader.name} reads",
                                  reader.machine.read(str(to / writer.name)) == text)
        self.screen.note("(NFS itself is pretended: both mounts show the directory the simulator keeps for the file system)")

    def claim_grows(self) -> None:
        """expandfs under a running pod."""
        self.screen.chapter("The claim grows from 15 to 20 GiB under the running pod")
        self.screen.command("""kubectl patch pvc pg-volume -p '{"spec":{"resources":{"requests":{"storage":"20Gi"}}}}'""")
        journal = self.node1.journals[-1]
        lines, before = journal.lines, self.evidence.file_system_bytes(self.node1)
        self.api.patch(CLAIMS, "pg-volume", {"spec": {"resources": {"requests": {"storage": "20Gi"}}}})
        self.cluster.until(lambda: self.cluster.claim("pg-volume")["status"]["capacity"]["storage"] == "20Gi",
                           "the claim's new capacity")
        _, volume = self.arrays.volume(self.evidence.volume)
        after = self.evidence.file_system_bytes(self.node1)
        self.cluster.until(lambda: journal.lines > lines or journal.error, "more lines after the growth")
        self.screen.check("the array's volume has 20 GiB", volume["size"] == 20 * GiB, str(volume["size"]))
        self.screen.check(f"the file system went from {before / GiB:.1f} to {after / GiB:.1f} GiB without a stop",
                          after - before > 4 * GiB and not journal.error,
                          f"{before} {after} {journal.error}")

    def claims_end(self) -> None:
        """Pods, then claims; volumes are destroyed and can be recovered."""
        self.screen.chapter("The pods end, the claims are deleted: volumes are destroyed, and can be recovered")
        claims = ["pg-volume", "archive", "shared"]
        names = {claim: PREFIX + self.cluster.claim(claim)["spec"]["volumeName"] for claim in claims}
        text = self.evidence.journal(self.node1)
        last = self.node1.journals[-1]
        self.screen.check("the journal of three lives is whole", all(
            whole(text, journal.life, 5) for journal in [*self.node1.journals, *self.node2.journals]), last.error)
        self.screen.command("kubectl delete deployment pg web")
        for deployment in ("pg", "web"):
            self.api.patch("deployments", deployment, {"spec": {"replicas": 0}})
        self.cluster.until(lambda: not self.api.count(PODS), "all pods gone", 20)
        self.screen.check("no volume is connected to any node", not self._holders(), str(self._holders()))
        self.screen.command(f"kubectl delete pvc {' '.join(claims)}")
        for claim in claims:
            self.api.delete(CLAIMS, claim)
        self.cluster.until(lambda: not self.api.count(PVS), "all PVs gone", 20)
        for claim in ("pg-volume", "archive"):
            array, volume = self.arrays.volume(names[claim])
            left = volume.get("time_remaining") or 0
            self.screen.check(f"{claim}: destroyed on {array}, recoverable for {left / 3600:.0f} h",
                              bool(volume.get("destroyed")) and left > 0, str(volume))
        system = self.arrays.file_system(names["shared"])
        self.screen.check("shared: destroyed on fb1, recoverable", bool(system) and bool(system["destroyed"]), str(system))

    def nothing_leaked(self) -> None:
        """Tokens, alarms, troubles."""
        self.screen.chapter("Afterwards")
        fleet = json.loads((self.cluster.directory / "arrays/pure.json").read_text())
        tokens = [entry["APIToken"] for entries in fleet.values() for entry in entries]
        places = {"call-outs": "".join(f"{call.arguments}{call.output}" for call in self.screen.calls),
                  "events": json.dumps(self.api.objects("events")), "provisioner's log": self.cluster.provisioner.output,
                  "commands on the nodes": "".join(str(member.machine.commands) for member in self.cluster.nodes),
                  "drivers' logs": self.node1.log + self.node2.log}
        found = [place for place, text in places.items() if any(token in text for token in tokens)]
        self.screen.check(f"no array token in {', '.join(places)}", not found, str(found))
        alarms = [alarm for member in self.cluster.nodes for alarm in member.machine.alarms]
        self.screen.check("nothing happened that would have destroyed data on real machines", not alarms, "; ".join(alarms))
        trouble = [*self.cluster.binder.trouble, *self.cluster.deployments.trouble,
                   *(failure for member in self.cluster.nodes for failure in member.machine.failures)]
        if trouble:
            self.screen.problem(f"the demo itself met with {trouble[0]}")

    def _holders(self) -> set[str]:
        return self.evidence.holders()

    def _tell_kept(self, member: Member, lives: list[Journal]) -> None:
        counted = " and ".join(f"{journal.lines}" for journal in lives)
        what = "the life" if len(lives) == 1 else "both lives"
        self.screen.check(f"all {counted} lines of {what} before are there, read on {member.name}",
                          self.evidence.keeps(member, lives))
        made = self.evidence.mkfs_runs()
        self.screen.check("mkfs ran once, when the volume was new", len(made) == 1, str(made))


def _end(call: CallOut) -> float:
    return call.began + call.milliseconds / 1000
