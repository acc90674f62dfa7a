"""Leader election as client-go does it: of several provisioners one works, and it stops before another one may begin.

    wait until the lock is free, or its record did not change for `lease` seconds of our own clock ► take it ► renew every
    `retry` seconds ► not renewed for `renew` seconds: lead no more, whatever the reason

A record may name a longer lease than ours: that of a leader with other settings, which is waited for. Clocks of other
machines are never believed: the record is compared with itself. Renewing has a connection of its own and no rate limit, so
that a burst of claims cannot cost the lead. Where an older provisioner may run, its Endpoints lock is held as well; where
the role allows only that one, it alone.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from arrays.errors import PureError, Unreachable
from provisioner.apierrors import Conflict, Forbidden, NotThere
from provisioner.locks import EndpointsLock, LeaseLock, Lock, Record, now

log = logging.getLogger(__name__)

_MOST_TOLD = 100            # messages remembered as told


class Times(NamedTuple):
    """Seconds; lease > renew > 1.2 x retry."""

    lease: float = 15.0
    renew: float = 10.0
    retry: float = 2.0


class _Unserved(PureError):
    """The server does not know a kind of lock."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Elector:
    """One candidate. `run` on a thread of its own; ask `leads` before each write that only the leader may do."""

    def __init__(self, lease: LeaseLock, endpoints: EndpointsLock, identity: str, times: Times = Times(),
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._lease, self._endpoints = lease, endpoints
        self.identity = identity
        self._times, self._clock = times, clock
        self._seen: dict[str, tuple[Record | None, float]] = {}     # lock -> record, and since when it is that
        self._locks: list[Lock] = []                                # those that are ours now
        self._renewed = float("-inf")
        self._stopping = threading.Event()
        self._told: set[str] = set()
        self._unserved: set[str] = set()
        self.leading = threading.Event()                            # the lead was taken
        self.lost = threading.Event()                               # and lost again
        self.holder = ""                                            # who leads, as far as known
        self.slow = 0                                               # renewals that had to read the lock first

    def leads(self) -> bool:
        """Whether this process may act at this moment, by its own clock even if `run` hangs."""
        return (self.leading.is_set() and not self.lost.is_set()
                and self._clock() - self._renewed < self._times.renew)

    def age(self) -> float:
        """Seconds since the lock was renewed, for the leader's health."""
        return self._clock() - self._renewed

    def kind(self) -> str:
        """What kind of lock is held, for events: Lease or Endpoints."""
        return self._locks[0].kind if self._locks else LeaseLock.kind

    def run(self) -> None:
        """Wait for the lead, keep it, end when it is lost or when stopped."""
        while not self._stopping.is_set() and not self._acquire():
            self._stopping.wait(self._times.retry * random.uniform(1.0, 1.2))
        if self._stopping.is_set():
            return
        log.info("leads identity=%s lock=%s", self.identity, "+".join(lock.kind for lock in self._locks))
        self.leading.set()
        while not self._stopping.wait(self._times.retry):
            if not self._renew():
                log.error("leads no more identity=%s holder=%s", self.identity, self.holder or "unknown")
                self.lost.set()
                return

    def stop(self) -> None:
        """End `run`; the lock stays as it is until `release`."""
        self._stopping.set()

    def release(self) -> None:
        """Give the lock up, so that the next one need not wait for its end. Only after all work has ended."""
        for lock in self._locks:
            try:
                record = lock.read(self._times.renew / 2)
                if record is not None and record.holder == self.identity:
                    lock.write(record._replace(holder="", duration=1, renewed=now()), self._times.renew / 2)
            except PureError as error:
                log.info("lock %s was not released: %s", lock.kind, error)

    # Taking

    def _acquire(self) -> bool:
        """One try; whether we lead now."""
        begun = self._clock()
        try:
            wanted = self._wanted()
            if wanted and all(self._take(lock, self._times.renew / 2) for lock in wanted):
                self._locks, self._renewed = wanted, begun
        except Conflict:
            return False                        # another one was faster
        except _Unserved as error:
            self._unserved.add(error.kind)      # the next try does without
            return False
        except PureError as error:
            self._say(f"no lead yet: {error}", logging.WARNING)
            return False
        return bool(self._locks) and self._renewed == begun

    def _wanted(self) -> list[Lock]:
        """The locks to hold here. The Lease comes first, so that two of us never wait for each other crosswise."""
        locks: list[Lock] = []
        refusals = []
        for lock in (self._lease, self._endpoints):
            if lock.kind in self._unserved:
                refusals.append(f"this server has no {lock.kind}")
                continue
            try:
                record = self._look(lock, self._times.renew / 2)
            except Forbidden as error:
                refusals.append(str(error))
                continue
            # beside a Lease only where it is customary or in use; without one it is all there is
            if not locks or record is not None or not self._endpoints.deprecated():
                locks.append(lock)
        if not locks:
            self._unserved.clear()
            raise Unreachable("a lock", "neither Leases nor Endpoints are allowed, add get, create and update for one of "
                              f"them to the role: {'; '.join(refusals)}")
        if refusals:
            self._say(f"without one kind of lock: {refusals[0]}", logging.INFO)
        return locks

    def _look(self, lock: Lock, timeout: float) -> Record | None:
        """Read a lock, and note when its record was seen to change."""
        record = lock.read(timeout)
        if lock.kind not in self._seen or self._seen[lock.kind][0] != record:
            self._seen[lock.kind] = record, self._clock()
        return record

    def _take(self, lock: Lock, timeout: float) -> bool:
        """Make a lock that was just read ours, if it is free."""
        record, since = self._seen[lock.kind]
        if record and record.holder not in ("", self.identity) and (
                self._clock() - since < max(self._times.lease, record.duration)):   # by its own times the holder leads on
            if record.holder != self.holder:
                log.info("waits holder=%s lock=%s", record.holder, lock.kind)
            self.holder = record.holder
            return False
        try:
            self._write(lock, record, timeout)
        except NotThere:
            raise _Unserved(lock.kind) from None            # before 1.14 there are no Leases
        self.holder = self.identity
        return True

    def _write(self, lock: Lock, record: Record | None, timeout: float) -> None:
        stamp = now()
        mine = record is not None and record.holder == self.identity
        made = Record(self.identity, max(1, math.ceil(self._times.lease)),
                      record.acquired if record and mine else stamp, stamp,
                      (record.transitions if record else 0) + (0 if mine or record is None else 1))
        lock.write(made, timeout)
        self._seen[lock.kind] = made, self._clock()

    # Keeping

    def _renew(self) -> bool:
        """Renew all locks, trying until the renew deadline; False when the lead is lost."""
        while True:
            begun = self._clock()
            left = self._times.renew - (begun - self._renewed)
            if left <= 0:
                return False
            try:
                if not all(self._keep(lock, max(left / 2, 0.01)) for lock in self._locks):
                    return False
                self._renewed = begun
                return True
            except PureError as error:
                self._say(f"the lock is not renewed yet: {error}", logging.WARNING)
            if self._stopping.wait(min(self._times.retry, max(0.0, self._times.renew - (self._clock() - self._renewed)))):
                return True

    def _keep(self, lock: Lock, timeout: float) -> bool:
        """Write that we are still there; False when the lock is somebody else's by now."""
        try:
            self._write(lock, self._seen[lock.kind][0], timeout)
        except Conflict:
            self.slow += 1
            record = self._look(lock, timeout)
            if record is None or record.holder != self.identity:
                self.holder = record.holder if record else ""
                return False
            self._write(lock, record, timeout)
        return True

    def _say(self, message: str, level: int) -> None:
        """Once for each message, until others have made it old."""
        if message not in self._told:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            self._told.add(message)
            log.log(level, "%s", message)
