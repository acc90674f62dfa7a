"""The file a migration is resumed from: what was there before it began, and how far each volume came.

It has no token in it. It is written anew in one rename after each change, so that a cut leaves the state before or after.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from arrays.errors import ConfigError
from provisioner.migration.workloads import Workload
from provisioner.objects import Raw

FORMAT = 1


class Record:
    """`volumes`: PV name -> {"pv", "claim": manifests as they were; "array", "volume", "backend", "created", "size";
    "policy": the original one; "snapshot": name or ""; "claim_deleted", "pv_deleted": bool}."""

    def __init__(self, path: Path, prefix: str, volumes: dict[str, dict[str, Any]] | None = None,
                 workloads: Iterable[Workload] = ()) -> None:
        self.path, self.prefix = path, prefix
        self.volumes = volumes or {}
        self.workloads = list(workloads)

    @classmethod
    def load(cls, path: Path) -> "Record":
        """Read what an earlier step saved."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["format"] != FORMAT:
                raise ConfigError(f"{path} was written by another release of this program: use that one")
            return cls(path, found["prefix"], found["volumes"], [Workload(*one) for one in found["workloads"]])
        except FileNotFoundError:
            raise ConfigError(f"{path}: there is no record yet: begin with `pure migrate retain`") from None
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path}: is not a record of a migration: {error}") from None

    @classmethod
    def begin(cls, path: Path, prefix: str) -> "Record":
        """The record at `path`, or a new one; a new one is saved with its first change."""
        if not path.exists():
            return cls(path, prefix)
        found = cls.load(path)
        if found.prefix != prefix:
            raise ConfigError(f"{path} is of volumes with prefix {found.prefix}, and this cluster's is {prefix}")
        return found

    def save(self) -> None:
        """Write it so that it is there after a power cut."""
        text = json.dumps({"format": FORMAT, "prefix": self.prefix, "volumes": self.volumes,
                           "workloads": [list(one) for one in self.workloads]}, indent=1, sort_keys=True)
        staged = self.path.with_name(self.path.name + ".new")
        with open(staged, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, self.path)
        folder = os.open(self.path.resolve().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def mark(self, pv: str, **changes: Any) -> None:
        """Note how far one volume came, and save."""
        self.volumes[pv].update(changes)
        self.save()


def trimmed(one: Raw) -> Raw:
    """A manifest without what the server puts in."""
    metadata = {key: one["metadata"][key] for key in ("name", "namespace", "labels", "annotations", "uid")
                if one["metadata"].get(key)}
    return {"apiVersion": "v1", "kind": one.get("kind", ""), "metadata": metadata, "spec": one.get("spec") or {}}
