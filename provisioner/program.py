"""The running program: take the lead, run the loop, look after it, answer probes, and leave in order.

    wait for the lead ► read everything there is ► work ► SIGTERM: finish what is in flight, give the lead up, 0
                                                        lead lost, or a thread ended: stop at once, 1

Nothing is read from the API before this process leads: what the first list has may have been begun by the leader before,
and what comes later was not.
"""

import logging
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from arrays import fleet
from provisioner import settings as settings_module
from provisioner.backend import Pace
from provisioner.backends import Backends
from provisioner.events import About
from provisioner.fleetwatch import FleetWatch
from provisioner.health import Complaints, Note, opened
from provisioner.informer import Informer, Timing
from provisioner.kube import Kube
from provisioner.leader import Elector, Times
from provisioner.locks import EndpointsLock, LeaseLock
from provisioner.loop import Loop
from provisioner.metrics import Metrics, Sample
from provisioner.pace import Pacer
from provisioner.pending import Pending
from provisioner.settings import Settings
from provisioner.start import access

log = logging.getLogger(__name__)

_SLACK = 20.0               # seconds a leader's health tolerates beyond the lease (as csi-provisioner does)
_AFTER_LOSS = 2.0           # seconds for calls in flight when the lead is lost


def run(settings: Settings, stopping: threading.Event | None = None) -> int:
    """Work until SIGTERM (or `stopping`); the exit status: 0 when all in flight was finished, else 1."""
    return Program(settings).run(stopping or stop_on_signals())


class Program:
    """One process's worth of everything."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        identity = f"{settings.pod}_{uuid.uuid4()}"
        way = access(settings)
        self._metrics = Metrics()
        pace = Pace(measure_every=settings.measure_every, read_timeout=settings.array_timeout,
                    busy=settings.busy)
        self.backends = Backends(lambda: fleet.load(settings.pure_json, settings_module.environment()),
                                 settings.claim_workers, settings.volume_workers, pace, self._metrics.array_step)
        self._fleet = FleetWatch(settings.pure_json, self.backends)
        lock_kube = Kube(way, connect_timeout=max(0.5, settings.renew / 4), read_timeout=settings.renew / 2)
        name = settings.provisioner.replace("/", "-")
        self.elector = Elector(LeaseLock(lock_kube, settings.namespace, name),
                               EndpointsLock(lock_kube, settings.namespace, name), identity,
                               Times(settings.lease, settings.renew, settings.renew_every))
        self._elects = settings.leader_election
        self.loop = Loop(Kube(way, pace=Pacer(settings.api_rate) if settings.api_rate else None), self.backends, settings,
                         component=f"{settings.provisioner}_{identity}",
                         may_act=self.elector.leads if self._elects else lambda: True, metrics=self._metrics)
        self._election = threading.Thread(target=self.elector.run, name="election", daemon=True)
        self._watched()

    def run(self, stopping: threading.Event) -> int:
        """See the module."""
        settings = self.settings
        self._fleet.look()
        log.info("start provisioner=%s prefix=%s workers=%d+%d arrays=%d", settings.provisioner, settings.prefix,
                 settings.claim_workers, settings.volume_workers, len(self.backends))
        server = opened(settings.health_port, self.pages(), self._metrics.page) if settings.health_port else None
        status = self._lead(stopping) if self._leads(stopping) else 0
        self.backends.stop()
        if server:
            server.stop()
        return status

    def _leads(self, stopping: threading.Event) -> bool:
        """Wait for the lead; False when stopped before."""
        if self._elects:
            self._election.start()
            while not self.elector.leading.wait(min(self.settings.tick, 0.1)):
                if stopping.is_set():
                    self.elector.stop()
                    return False
                self._fleet.look()
        return not stopping.is_set()

    def _lead(self, stopping: threading.Event) -> int:
        self.loop.start()
        self._tell_lead("became leader")
        status = self._follow(stopping)
        clean = self.loop.stop(_AFTER_LOSS if self.elector.lost.is_set() else self.settings.drain)
        log.info("stop %s", "all in flight is finished" if clean else "with calls still in flight")
        if self._elects and not self.elector.lost.is_set():
            self.elector.stop()
            self._election.join(self.settings.renew)
            if clean:
                self.elector.release()
        return status or (0 if clean else 1)

    def _follow(self, stopping: threading.Event) -> int:
        """Look after the loop until it is to stop (0), or must (1)."""
        while not stopping.wait(self.settings.tick):
            if self._elects and (self.elector.lost.is_set() or not self._election.is_alive()):
                self._tell_lead("stopped leading")
                return 1
            if self._fleet.look():
                self.loop.hurry()
            self.loop.tick()
            if dead := self.loop.dead():
                log.error("threads ended: %s: stopping, to be started anew", ", ".join(dead))
                return 1
        return 0

    def _tell_lead(self, what: str) -> None:
        if self._elects:
            kind, version = ("Lease", "coordination.k8s.io/v1") if self.elector.kind() == "Lease" else ("Endpoints", "v1")
            name = self.settings.provisioner.replace("/", "-")
            self.loop.outcomes.lock = About(kind, self.settings.namespace, name, "", api_version=version)
            self.loop.outcomes.lead(f"{self.elector.identity} {what}")

    # Probes

    def pages(self) -> dict[str, Complaints]:
        """The complaints of each page of the health server."""
        return {"/healthz": self.dead_parts, "/healthz/leader-election": self.late_lead, "/readyz": self.not_ready}

    def dead_parts(self) -> list[str]:
        """What should turn and does not."""
        complaints = [f"thread {name} ended" for name in self.loop.dead()]
        if self._elects and self._election.ident and not self._election.is_alive() and not self.elector.lost.is_set():
            complaints.append("thread election ended")
        for informer in self._following():
            if (still := time.monotonic() - informer.turned) > 2 * Timing().silence:
                complaints.append(f"watch of {informer.name} stands still for {still:.0f} s")
        return complaints

    def late_lead(self) -> list[str]:
        """A leader that cannot renew its lock."""
        if not (self._elects and self.elector.leading.is_set()) or self.elector.age() <= self.settings.lease + _SLACK:
            return []
        return [f"leads, and the lock was not renewed for {self.elector.age():.0f} s"]

    def not_ready(self) -> list[str]:
        """Why no claim could be served now. A standby is ready; so is a leader with one array of many away."""
        complaints = [problem for problem in [self.backends.problem] if problem]
        complaints += map(Note, self.backends.known.complaints)
        states = [backend.state() for backend in self.backends]
        if states and all(state.problem for state in states):
            complaints += [f"array {state.name}: {state.problem}" for state in states]
        for informer in self._following():
            if not informer.synced.is_set():
                complaints.append(f"{informer.name} are not listed yet")
            elif (silent := time.monotonic() - informer.progress) > Timing().silence + Timing().longest_delay:
                complaints.append(f"the Kubernetes API is silent about {informer.name} for {silent:.0f} s")
        return complaints

    def _following(self) -> list[Informer[Any]]:
        """The informers that run; none on a standby."""
        return list(self.loop.informers) if self.loop.started else []

    # What a scrape reads off

    def _watched(self) -> None:
        watch, loop, queues = self._metrics.watch, self.loop, (("claims", self.loop.claim_queue),
                                                               ("volumes", self.loop.volume_queue))
        watch("workqueue_depth", "Keys ready to be worked on.", lambda: [
            *(({"name": name}, len(queue)) for name, queue in queues),
            ({"name": "unsavedpvs"}, loop.attempts.unsaved())])
        watch("workqueue_adds", "Keys added.", lambda: [({"name": name}, queue.added) for name, queue in queues], True)
        watch("workqueue_retries", "Keys added again after a failure.",
              lambda: [({"name": name}, queue.retried) for name, queue in queues], True)
        watch("workqueue_unfinished_work_seconds", "Seconds of work in progress.",
              lambda: [({"name": name}, sum(queue.running())) for name, queue in queues])
        watch("workqueue_longest_running_processor_seconds", "The longest work in progress.",
              lambda: [({"name": name}, max(queue.running(), default=0.0)) for name, queue in queues])
        watch("leader_election_master_status", "1 while this process leads.", self._lead_sample)
        watch("leader_election_slowpath", "Renewals that had to read the lock first.",
              lambda: [({"name": self.settings.provisioner}, self.elector.slow)], True)
        watch("pure_array_up", "1 while the array answers.", lambda: [
            ({"array": backend.name}, float(not backend.state().problem)) for backend in self.backends])
        watch("pure_array_capacity_bytes", "Bytes the array has, as last measured.", lambda: [
            ({"array": backend.name}, backend.state().capacity) for backend in self.backends])
        watch("pure_array_used_bytes", "Bytes in use, as last measured.", lambda: [
            ({"array": backend.name}, backend.state().used) for backend in self.backends])
        watch("pure_array_free_bytes", "Free bytes as last measured.", lambda: [
            ({"array": backend.name}, backend.state().free) for backend in self.backends])
        watch("pure_watch_age_seconds", "Seconds since the API was last heard about a kind.", lambda: [
            ({"resource": informer.name}, time.monotonic() - informer.progress) for informer in self._following()])
        pending = Pending(loop.claims.cache)
        watch("pure_claims_pending", "Claims that wait for a volume of ours.", lambda: [
            ({"class": name}, waiting.claims) for name, waiting in pending.by_class().items()])
        watch("pure_claims_pending_oldest_seconds", "How long the longest waits, as scrapes saw it.", lambda: [
            ({"class": name}, waiting.longest) for name, waiting in pending.by_class().items()])
        watch("pure_unsaved_pvs", "Volumes whose PV is not saved yet.", lambda: [({}, loop.attempts.unsaved())])
        watch("pure_events_dropped", "Events that were not written.", lambda: [({}, loop.events.dropped)], True)

    def _lead_sample(self) -> Iterator[Sample]:
        yield {"name": self.settings.provisioner}, float(self.elector.leads() if self._elects else self.loop.started)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping
