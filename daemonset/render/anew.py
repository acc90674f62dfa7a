"""`python -m daemonset.render.anew MANIFEST LIVE`: a manifest for an object that is deleted and made anew.

What people have put on the live one by hand goes along: its annotations and labels that the manifest has not and that did
not come from an earlier manifest.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from daemonset.render.yamltext import written

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def keeping(manifest: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """`manifest` with the annotations and labels that people have put on `live`, as the API gives it."""
    metadata, there = dict(manifest["metadata"]), live["metadata"]
    applied = json.loads((there.get("annotations") or {}).get(APPLIED, "{}")).get("metadata", {})
    for field in ("annotations", "labels"):
        ours = {APPLIED, *(applied.get(field) or {})}
        kept = {key: value for key, value in (there.get(field) or {}).items() if key not in ours}
        if kept:
            metadata[field] = {**kept, **(metadata.get(field) or {})}
    return {**manifest, "metadata": metadata}


def main(manifest: str, live: str) -> None:
    """Print the manifest to make the object anew with."""
    print(written(keeping(yaml.safe_load(Path(manifest).read_text()), json.loads(Path(live).read_text()))), end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
