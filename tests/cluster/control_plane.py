"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler in the control plane's namespace."""

import json
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path

import trustme

from tests.cluster import processes
from tests.cluster.namespaces import API_SERVICE, CONTROL, CONTROL_ADDRESS, SERVICES, Place, inside

# Static tokens: user and groups. The nodes' names are what the Node authorizer expects.
ACCOUNTS = {"admin": ("admin", "system:masters"),
            "controller-manager": ("system:kube-controller-manager", ""),
            "scheduler": ("system:kube-scheduler", "")}


def start(work: Path, programs: Path, places: list[Place], options: dict[str, list[str]]) -> None:
    """Start the four and wait until the API answers; `options` adds flags by program name."""
    _secrets(work, places)
    run = inside(CONTROL)
    processes.start(work, "etcd", [
        *run, str(programs / "etcd"), "--data-dir", str(work / "etcd"), "--unsafe-no-fsync",
        "--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
        "--listen-peer-urls", "http://127.0.0.1:2380", *options.get("etcd", [])])
    _start_api(work, programs, options)
    start_manager(work, programs, options.get("kube-controller-manager", []))
    processes.start(work, "kube-scheduler", [
        *run, str(programs / "kube-scheduler"), f"--kubeconfig={work}/scheduler.kubeconfig", "--leader-elect=false",
        "--bind-address=127.0.0.1", *options.get("kube-scheduler", [])])


def start_manager(work: Path, programs: Path, flags: list[str]) -> None:
    """Start the controller manager; `flags` are added to what it needs."""
    processes.start(work, "kube-controller-manager", [
        *inside(CONTROL), str(programs / "kube-controller-manager"), f"--kubeconfig={work}/controller-manager.kubeconfig",
        f"--service-account-private-key-file={work}/accounts.key", f"--root-ca-file={work}/ca.pem",
        "--use-service-account-credentials=true", "--leader-elect=false", "--bind-address=127.0.0.1",
        f"--flex-volume-plugin-dir={work}/none", *flags])


def restart_api(work: Path, programs: Path, options: dict[str, list[str]], meanwhile: Callable[[], None]) -> None:
    """Kill the API server, do something, and start it again, as an upgrade or a crash would."""
    processes.stop(work, "kube-apiserver", kill=True)
    meanwhile()
    _start_api(work, programs, options)


def _start_api(work: Path, programs: Path, options: dict[str, list[str]]) -> None:
    processes.start(work, "kube-apiserver", [*inside(CONTROL), str(programs / "kube-apiserver"), *_api_flags(work),
                                             *options.get("kube-apiserver", [])])
    wait_ready(work)


def wait_ready(work: Path, seconds: float = 60.0) -> None:
    """Wait until /readyz says ok."""
    look = [*inside(CONTROL), "curl", "-sf", "--cacert", str(work / "ca.pem"), "-o", "/dev/null",
            f"https://{CONTROL_ADDRESS}:443/readyz"]
    processes.wait("API server ready", lambda: subprocess.run(look, check=False).returncode == 0, seconds)


def _api_flags(work: Path) -> list[str]:
    return ["--etcd-servers=http://127.0.0.1:2379", "--secure-port=443", "--bind-address=0.0.0.0",
            f"--advertise-address={CONTROL_ADDRESS}", f"--service-cluster-ip-range={SERVICES}",
            f"--tls-cert-file={work}/api.pem", f"--tls-private-key-file={work}/api.key",
            f"--token-auth-file={work}/tokens.csv", "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction,StorageObjectInUseProtection,DefaultStorageClass",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={work}/accounts.pub", f"--service-account-signing-key-file={work}/accounts.key",
            "--kubelet-preferred-address-types=InternalIP", "--allow-privileged=true",
            "--endpoint-reconciler-type=lease", "--profiling=false"]


def _secrets(work: Path, places: list[Place]) -> None:
    """Certificates, the service accounts' key pair, tokens and a kubeconfig for each account."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(work / "ca.pem"))
    server = authority.issue_cert(CONTROL_ADDRESS, API_SERVICE, "127.0.0.1", "localhost", "kubernetes.default.svc",
                                  "kubernetes.default", "kubernetes")
    server.private_key_pem.write_to_path(str(work / "api.key"))
    for pem in server.cert_chain_pems:
        pem.write_to_path(str(work / "api.pem"), append=True)
    subprocess.run(["openssl", "genrsa", "-out", str(work / "accounts.key"), "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-in", str(work / "accounts.key"), "-pubout", "-out", str(work / "accounts.pub")],
                   check=True, capture_output=True)
    accounts = {**ACCOUNTS, **{place.name: (f"system:node:{place.name}", "system:nodes") for place in places}}
    rows = []
    for name, (user, group) in accounts.items():
        token = secrets.token_hex(16)
        rows.append(f'{token},{user},{name},"{group}"')
        (work / f"{name}.kubeconfig").write_text(json.dumps(kubeconfig(work, token)))
    (work / "tokens.csv").write_text("\n".join(rows) + "\n")
    (work / "tokens.csv").chmod(0o600)


def kubeconfig(work: Path, token: str, server: str = f"https://{CONTROL_ADDRESS}:443") -> dict[str, object]:
    """A kubeconfig for one bearer token."""
    return {"apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": f"{work}/ca.pem"}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}
