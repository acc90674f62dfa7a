"""Metrics for Prometheus, under the names that dashboards of other provisioners know. Never labelled by claim or PV.

Labels are bounded by what there is: StorageClasses and arrays; what is about a class goes with it.
Names and labels are those of sig-storage-lib-external-provisioner and of component-base (workqueue, leaderelection).
What can be read off living objects is read when somebody scrapes; only durations are noted as they happen.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from arrays.errors import PureError, Refused, Unreachable

_WORK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_QUEUE = tuple(10.0 ** power for power in range(-8, 2))
_ARRAY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Sample = tuple[Mapping[str, str], float]


class Metrics:
    """All of this process's; `page` is what a scrape gets."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        claims, pvs = ["class", "source"], ["class"]
        self._provisioned = Histogram("controller_persistentvolumeclaim_provision_duration_seconds",
                                      "Latency of successful provisioning.", claims, buckets=_WORK, registry=registry)
        self._provisions = Counter("controller_persistentvolumeclaim_provision", "Claims provisioned.", claims,
                                   registry=registry)
        self._failed = Counter("controller_persistentvolumeclaim_provision_failed", "Failed attempts to provision.",
                               claims, registry=registry)
        self._deleted = Histogram("controller_persistentvolume_delete_duration_seconds",
                                  "Latency of successful deletion.", pvs, buckets=_WORK, registry=registry)
        self._deletes = Counter("controller_persistentvolume_delete", "Volumes deleted.", pvs, registry=registry)
        self._undeleted = Counter("controller_persistentvolume_delete_failed", "Failed attempts to delete.", pvs,
                                  registry=registry)
        self._waited = Histogram("workqueue_queue_duration_seconds", "How long keys wait for a worker.", ["name"],
                                 buckets=_QUEUE, registry=registry)
        self._worked = Histogram("workqueue_work_duration_seconds", "How long the work on a key takes.", ["name"],
                                 buckets=_QUEUE, registry=registry)
        self._arrays = Histogram("pure_array_request_seconds", "Work with an array by kind of step and outcome.",
                                 ["array", "method", "code"], buckets=_ARRAY, registry=registry)
        self._orphans = Gauge("pure_orphan_volumes", "Volumes with our prefix that nobody stands for.", ["array"],
                              registry=registry)

    def page(self) -> bytes:
        """The text format."""
        return generate_latest(self._registry)

    def provisioned(self, storage_class: str, source: str, seconds: float) -> None:
        self._provisions.labels(storage_class, source).inc()
        self._provisioned.labels(storage_class, source).observe(seconds)

    def provision_failed(self, storage_class: str, source: str) -> None:
        self._failed.labels(storage_class, source).inc()

    def deleted(self, storage_class: str, seconds: float) -> None:
        self._deletes.labels(storage_class).inc()
        self._deleted.labels(storage_class).observe(seconds)

    def delete_failed(self, storage_class: str) -> None:
        self._undeleted.labels(storage_class).inc()

    def forget_class(self, storage_class: str) -> None:
        """The class is gone: what was counted for it is told no more."""
        for metric in (self._provisioned, self._provisions, self._failed, self._deleted, self._deletes, self._undeleted):
            told = [sample.labels for family in metric.collect() for sample in family.samples]
            for values in {tuple(labels[name] for name in ("class", "source") if name in labels) for labels in told
                           if labels["class"] == storage_class}:
                metric.remove(*values)

    def queue(self, name: str) -> tuple[Callable[[float], None], Callable[[float], None]]:
        """Where a queue notes how long a key waited, and how long it was worked on; seconds."""
        return self._waited.labels(name).observe, self._worked.labels(name).observe

    @contextmanager
    def array_step(self, array: str, method: str) -> Iterator[None]:
        """Time one step with an array."""
        begun, code = time.monotonic(), "ok"
        try:
            yield
        except PureError as error:
            code = ("unreachable" if isinstance(error, Unreachable) else "refused" if isinstance(error, Refused)
                    else "failed")
            raise
        finally:
            self._arrays.labels(array, method, code).observe(time.monotonic() - begun)

    def orphans(self, counts: Mapping[str, int]) -> None:
        """How many orphans each array has, after a sweep."""
        self._orphans.clear()
        for array, count in counts.items():
            self._orphans.labels(array).set(count)

    def watch(self, name: str, words: str, read: Callable[[], Iterable[Sample]], counter: bool = False) -> None:
        """A metric that is read off something living at each scrape."""
        self._registry.register(_Live(name, words, read, counter))


class _Live:
    """One metric whose samples are asked for when somebody scrapes."""

    def __init__(self, name: str, words: str, read: Callable[[], Iterable[Sample]], counter: bool) -> None:
        self._name, self._words, self._read, self._counter = name, words, read, counter

    def collect(self) -> Iterator[Metric]:
        samples = list(self._read())
        labels = list(samples[0][0]) if samples else []
        family: Any = (CounterMetricFamily if self._counter else GaugeMetricFamily)(self._name, self._words,
                                                                                    labels=labels)
        for given, value in samples:
            family.add_metric(list(given.values()), value)
        yield family
