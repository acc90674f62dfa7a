"""What came of each spec, from ginkgo's report, and why those that did not run did not."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SERIAL = r"\[Serial\]"
# Patterns of specs that are not run, and why; the suite itself leaves out more, and says why in its own words.
LEFT_OUT = {
    r"\(block volmode\)|block volume": "raw block devices: kubelet's FlexVolume plugin mounts file systems only",
    r"ntfs|Windows": "Windows nodes",
    r"CSI Ephemeral|Inline-volume|Pre-provisioned": "volumes written into the pod or made beforehand: dynamic ones only",
    r"[Ss]napshot": "VolumeSnapshots are made by CSI's own controllers; ours are commands and claims from claims",
    r"\[Disruptive\]": "restarts kubelet over SSH, which these nodes do not have; `make cluster` restarts it",
    r"VolumeAttributesClass": "a CSI call",
    # getVolumeHandle in test/e2e/framework/volume/fixtures.go fails on a PV without `csi`; the spec of one copy is run
    r"with pvc data source": "looks for CSI's own VolumeAttachment; `make lab-cluster` tries copies",
    r"any volume data source": "needs a populator's images from a registry; claims from other kinds are left to populators",
    r"rwop|ReadWriteOncePod": "Kubernetes keeps this access mode to CSI; such a claim is refused with an event",
    SERIAL: "run alone, with --serial",
}


@dataclass(frozen=True)
class Spec:
    """One spec of the suite."""

    name: str
    state: str                  # "passed", "failed", "skipped"
    why: str                    # of a failure or of a skip
    seconds: float


def read(report: Path) -> list[Spec]:
    """All specs of the External Storage suite."""
    found = []
    for run in json.loads(report.read_text()):
        for spec in run["SpecReports"] or []:
            name = " ".join([*(spec["ContainerHierarchyTexts"] or []), spec["LeafNodeText"]])
            if spec["LeafNodeType"] == "It" and "External Storage" in name:
                state = spec["State"] if spec["State"] in ("passed", "skipped") else "failed"
                message = (spec.get("Failure") or {}).get("Message", "")
                found.append(Spec(name, state, _why(name, message) if state == "skipped" else message,
                                  spec["RunTime"] / 1e9))
    return found


def _why(name: str, message: str) -> str:
    """Why a spec did not run: the suite's own sentence, ours, or the choice of the person who asked for some only."""
    if message:
        return re.sub(r"^.*?(Driver|Suite|Test|Not |Volume|[A-Z])", r"\1", message.strip().splitlines()[-1], count=1)
    return next((why for pattern, why in LEFT_OUT.items() if re.search(pattern, name)), "not asked for")


def table(kind: str, specs: list[Spec], seconds: float) -> str:
    """What a person reads at the end, Markdown."""
    states = Counter(spec.state for spec in specs)
    lines = [f"{kind}: {states['passed']} passed, {states['failed']} failed, {states['skipped']} skipped in {seconds:.0f} s",
             "", "| skipped | why |", "|---|---|"]
    lines += [f"| {count} | {why} |" for why, count in Counter(
        spec.why for spec in specs if spec.state == "skipped").most_common()]
    lines += [f"\nFAILED {spec.name}\n    {spec.why.strip()[:600]}" for spec in specs if spec.state == "failed"]
    return "\n".join(lines)
