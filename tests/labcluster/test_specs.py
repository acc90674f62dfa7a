"""A dozen of Kubernetes' own storage tests on the real data path; `make conformance` runs all that apply, on another.

They come first in this folder: the story ends with one node without power.
"""

from pathlib import Path

import pytest

from tests.cluster import components
from tests.conformance import definition, outcome, suite
from tests.labcluster.scene import Scene

RESULTS = Path(__file__).resolve().parents[2] / "build/conformance/lab"
SPECS = (
    r"\(default fs\)\] volumes should store data",
    r"\(ext4\)\] volumes should store data",
    r"\(default fs\)\] volumes should allow exec of files on the volume",
    r"\(filesystem volmode\)\] multiVolume .*retain data across pod recreation on the same node",
    r"\(filesystem volmode\)\] multiVolume .*retain data across pod recreation on different node",
    r"\(default fs\)\] fsgroupchangepolicy \(OnRootMismatch\).*new pod fsgroup applied to volume contents",
    r"\(default fs\)\(allowExpansion\)\] volume-expand Verify if offline PVC expansion works",
    r"\(default fs\)\(allowExpansion\)\] volume-expand should resize volume when PVC is edited while pod is using it",
    r"\(default fs\)\] subPath should support existing directory",
    r"\(default fs\)\] subPath should support readOnly file specified in the volumeMount",
    r"\(default fs\)\] subPath should be able to unmount after the subpath directory is deleted",
    r"\(default fs\)\] volumeIO should write files of various sizes",
)
AT_ONCE = 6                                  # each mostly waits for its pods; two emulated CPUs do the rest


@pytest.mark.timeout(1200)
def test_kubernetes_own_storage_tests(scene: Scene) -> None:
    """Data stays, files run, pods move and start again, volumes grow under them, subPath, fsGroup, heavy writing."""
    programs = components.binaries(components.E2E)
    report = suite.run(scene, programs, RESULTS, definition.write(RESULTS, "block"), serial=False,
                       only=f".*({'|'.join(SPECS)})", procs=AT_ONCE)
    ran = [spec for spec in outcome.read(report) if spec.state != "skipped"]
    for spec in ran:
        print(f"  {spec.seconds:5.0f} s  {spec.state}  {spec.name}")
    assert [spec.why for spec in ran if spec.state == "failed"] == []
    assert len(ran) == len(SPECS), "a spec has another name in this version of Kubernetes"
