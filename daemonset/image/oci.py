"""A root file system as an OCI image archive: `ctr images import`, `podman load`, `skopeo copy oci-archive:`.

Layout: https://github.com/opencontainers/image-spec, v1.1 (image-layout.md, config.md). Reproducible: names sorted, times 0.
"""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(root: Path, archive: Path, name: str, machine: str, labels: dict[str, str], command: list[str],
          entrypoint: list[str] | None = None) -> str:
    """Write `archive` with one layer made of `root`, called `name` ("docker.io/path:tag"); return the manifest's digest."""
    tar = _tar(root)
    layer = gzip.compress(tar, compresslevel=6, mtime=0)
    config = _json({"architecture": ARCHITECTURES[machine], "os": "linux",
                    "config": {"Env": ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"], "Labels": labels, "WorkingDir": "/",
                               "Cmd": command, **({"Entrypoint": entrypoint} if entrypoint else {})},
                    "rootfs": {"type": "layers", "diff_ids": [_digest(tar)]}})
    manifest = _json({"schemaVersion": 2, "mediaType": MANIFEST, "config": _descriptor(CONFIG, config),
                      "layers": [_descriptor(LAYER, layer)]})
    index = _json({"schemaVersion": 2, "manifests": [
        {**_descriptor(MANIFEST, manifest),
         "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}}]})
    with tarfile.open(archive, "w") as out:
        _add(out, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(out, "index.json", index)
        for blob in (config, layer, manifest):
            _add(out, "blobs/" + _digest(blob).replace(":", "/"), blob)
    return _digest(manifest)


def _tar(root: Path) -> bytes:
    """The layer: everything below `root`, owned by root, with time 0."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(root.rglob("*")):
            tar.add(path, arcname=str(path.relative_to(root)), recursive=False, filter=_anonymous)
    return buffer.getvalue()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = 0
    return member


def _add(out: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    out.addfile(member, io.BytesIO(content))


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
