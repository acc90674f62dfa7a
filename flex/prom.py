"""What `flex doctor -o prom` prints: this node in Prometheus' text format, for node_exporter's textfile collector.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/, text version 0.0.4. No device is opened. The parts
are looked up side by side: one that hangs (an array, multipathd, sysfs) is left out, which pure_flex_doctor_complete says.
"""

from threading import Thread

from arrays.errors import PureError
from flex import counts, doctor, state
from flex.node import multipath, scsi, sysfs
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from flex.machine import Node
    from flex.paths import Paths

    Samples = Sequence[tuple[Mapping[str, str], int]]

PATIENCE = 30.0         # seconds for the whole page; the arrays' own limits end sooner


def page(node: "Node", patience: float = PATIENCE) -> str:
    """The whole text; it takes `patience` seconds at the most."""
    parts = [_Part(lambda: doctor.findings(node)), _Part(lambda: volume_paths(node.paths)),
             _Part(lambda: counts.read(node.paths))]
    deadline = Deadline(patience)
    found, paths, counted = (part.result(deadline.left()) for part in parts)
    lines = _family("pure_flex_doctor_complete", "gauge", "1 when every part of this page was got in time.",
                    [({}, int(None not in (found, paths, counted)))])
    if found is not None:
        lines += _of_findings(found)
    if paths is not None:
        lines += _of_paths(paths)
    if counted is not None:
        lines += _of_counts(counted)
    return "".join(f"{line}\n" for line in lines)


class _Part:
    """Something looked up in a thread of its own, which is left behind when it takes too long."""

    def __init__(self, call: "Callable[[], Any]") -> None:
        self._call = call
        self._found: "Any" = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found = self._call()
        except (PureError, OSError):
            pass                    # then the part is missing

    def result(self, patience: float) -> "Any":
        """What was found; None when it failed, or is not there after `patience` seconds."""
        self._thread.join(patience)
        return self._found


def volume_paths(paths: "Paths") -> "dict[tuple[str, str], tuple[int, int]]":
    """(volume, array) of each block volume that is mounted here -> its paths, and how many of them carry I/O."""
    wwids = {record.wwid: (record.volume or record.wwid, record.array) for record in state.records(paths)
             if record.wwid and record.stage == state.MOUNTED}
    states = multipath.path_states(paths) if wwids else []
    return {name: _paths_of(paths, wwid, states) for wwid, name in wwids.items()}


def _paths_of(paths: "Paths", wwid: str, states: "Sequence[tuple[str, str]]") -> tuple[int, int]:
    """By multipathd's word; by the kernel's when multipathd does not know the volume."""
    told = [works for one, works in states if one == wwid]
    if told:
        return len(told), sum(map(multipath.works, told))
    there = scsi.of_wwid(paths, wwid)
    return len(there), sum(sysfs.read(f"{one.directory}/state") in ("running", "") for one in there)


def _of_findings(found: "Sequence[doctor.Finding]") -> list[str]:
    levels = [one.level for one in found]
    return [*_family("pure_flex_findings", "gauge", "What `flex doctor` says of this node, by level.",
                     [({"level": level}, levels.count(level))
                      for level in (doctor.PROBLEM, doctor.WARNING, doctor.NOTE, doctor.OK)]),
            *_family("pure_flex_stale_devices", "gauge", "Devices that their array does not show any more.",
                     [({}, sum(one.text.endswith(doctor.STALE) for one in found))])]


def _of_paths(paths: "Mapping[tuple[str, str], tuple[int, int]]") -> list[str]:
    labels = [({"array": array, "volume": volume}, numbers) for (volume, array), numbers in sorted(paths.items())]
    return [*_family("pure_flex_volume_paths", "gauge", "Paths of each mounted block volume.",
                     [(names, every) for names, (every, _) in labels]),
            *_family("pure_flex_volume_paths_up", "gauge", "Those of them that carry I/O.",
                     [(names, up) for names, (_, up) in labels])]


def _of_counts(counted: "Mapping[tuple[str, ...], int]") -> list[str]:
    failed = [({"call": key[1], "reason": key[2]}, count) for key, count in sorted(counted.items())
              if key[0] == counts.FAILED and len(key) == 3]
    return [*_family("pure_flex_calls_failed_total", "counter", "Calls of kubelet that failed; it repeats them.", failed),
            *_family("pure_flex_preemptions_total", "counter", "Volumes taken from a host that was silent.",
                     [({}, counted.get((counts.PREEMPTED,), 0))])]


def _family(name: str, kind: str, words: str, samples: "Samples") -> list[str]:
    return [f"# HELP {name} {words}", f"# TYPE {name} {kind}",
            *(f"{name}{_labels(labels)} {value}" for labels, value in samples)]


def _labels(labels: "Mapping[str, str]") -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
