"""What can be set, from the environment: the published chart's names, and ours. Nobody else reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from arrays import names
from arrays.errors import ConfigError
from provisioner import wellknown
from provisioner.classes import FILE_SYSTEMS
from provisioner.labels import Keys, is_key
from provisioner.selectors import TOPOLOGY_PREFIX

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0", "")
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True)
class Settings:
    """Everything that can be set; each field says which variable does it. Times are in seconds."""

    pure_json: str = "/etc/pure/pure.json"              # PURE_DISCOVERY_CONF
    prefix: str = "k8s"                                 # PURE_K8S_NAMESPACE (namespace.pure)
    fs_type: str = "xfs"                                # PURE_DEFAULT_BLOCK_FS_TYPE
    snapshot_directory: bool = False                    # PURE_DEFAULT_ENABLE_FB_NFS_SNAPSHOT
    export_rules: str = "*(rw,no_root_squash)"          # PURE_FLASHBLADE_EXPORT_RULES
    provisioner: str = wellknown.PROVISIONER            # PURE_PROVISIONER_NAME
    claim_workers: int = 16                             # PURE_CLAIM_WORKERS
    volume_workers: int = 8                             # PURE_VOLUME_WORKERS
    retry_first: float = 1.0                            # PURE_RETRY_FIRST
    retry_longest: float = 300.0                        # PURE_RETRY_LONGEST
    api_rate: float = 0.0                               # PURE_API_RATE, requests a second; 0: only the server limits
    finalizers: bool = True                             # PURE_PV_FINALIZER
    node_affinity: Keys = ()                            # PURE_PV_NODE_AFFINITY: (array's label, node's label)
    eradicate: bool = False                             # PURE_ERADICATE_ON_DELETE
    measure_every: float = 30.0                         # PURE_MEASURE_EVERY
    busy: float = 10.0                                  # PURE_BUSY_LATENCY, milliseconds; 0: no array ever is
    array_timeout: float = 30.0                         # PURE_ARRAY_TIMEOUT
    leader_election: bool = True                        # PURE_LEADER_ELECTION
    lease: float = 15.0                                 # PURE_LEASE_DURATION
    renew: float = 10.0                                 # PURE_RENEW_DEADLINE
    renew_every: float = 2.0                            # PURE_RENEW_EVERY
    health_port: int = 9819                             # PURE_HEALTH_PORT; 0: none
    sweep_every: float = 900.0                          # PURE_ORPHAN_SWEEP; 0: never
    sweep_grace: float = 3600.0                         # PURE_ORPHAN_GRACE
    sweep_destroy: bool = False                         # PURE_ORPHAN_DESTROY
    drain: float = 25.0                                 # PURE_DRAIN: for calls in flight after SIGTERM
    kubeconfig: str = ""                                # KUBECONFIG
    api_host: str = ""                                  # KUBERNETES_SERVICE_HOST, set by Kubernetes in every pod
    api_port: str = "443"                               # KUBERNETES_SERVICE_PORT
    account: Path = Path(_ACCOUNT)                      # PURE_SERVICE_ACCOUNT_DIR
    namespace: str = "default"                          # POD_NAMESPACE, else the service account's
    pod: str = ""                                       # HOSTNAME
    tick: float = 1.0                                   # how often pure.json and the threads are looked at

    @property
    def provisioners(self) -> frozenset[str]:
        """The names under which claims and PVs are ours."""
        return frozenset((self.provisioner,))


def read(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; ConfigError names the variable that cannot be used."""
    found = _Reader(os.environ if environment is None else environment)
    account = Path(found.text("PURE_SERVICE_ACCOUNT_DIR", _ACCOUNT))
    return Settings(
        pure_json=found.text("PURE_DISCOVERY_CONF", Settings.pure_json),
        prefix=names.check_prefix(found.text("PURE_K8S_NAMESPACE", Settings.prefix)),
        fs_type=found.one_of("PURE_DEFAULT_BLOCK_FS_TYPE", FILE_SYSTEMS, Settings.fs_type),
        snapshot_directory=found.switch("PURE_DEFAULT_ENABLE_FB_NFS_SNAPSHOT", Settings.snapshot_directory),
        export_rules=found.text("PURE_FLASHBLADE_EXPORT_RULES", Settings.export_rules),
        provisioner=found.text("PURE_PROVISIONER_NAME", Settings.provisioner),
        claim_workers=int(found.number("PURE_CLAIM_WORKERS", Settings.claim_workers, 1, 256)),
        volume_workers=int(found.number("PURE_VOLUME_WORKERS", Settings.volume_workers, 1, 256)),
        retry_first=found.number("PURE_RETRY_FIRST", Settings.retry_first, 0.01, 3600),
        retry_longest=found.number("PURE_RETRY_LONGEST", Settings.retry_longest, 0.01, 86400),
        api_rate=found.number("PURE_API_RATE", Settings.api_rate, 0, 100_000),
        finalizers=found.switch("PURE_PV_FINALIZER", Settings.finalizers),
        node_affinity=_node_keys(found.text("PURE_PV_NODE_AFFINITY", "")),
        eradicate=found.switch("PURE_ERADICATE_ON_DELETE", Settings.eradicate),
        measure_every=found.number("PURE_MEASURE_EVERY", Settings.measure_every, 0.05, 3600),
        busy=found.number("PURE_BUSY_LATENCY", Settings.busy, 0, 60_000),
        array_timeout=found.number("PURE_ARRAY_TIMEOUT", Settings.array_timeout, 0.1, 600),
        leader_election=found.switch("PURE_LEADER_ELECTION", Settings.leader_election),
        **_election_times(found),
        health_port=int(found.number("PURE_HEALTH_PORT", Settings.health_port, 0, 65535)),
        sweep_every=found.number("PURE_ORPHAN_SWEEP", Settings.sweep_every, 0, 86400),
        sweep_grace=found.number("PURE_ORPHAN_GRACE", Settings.sweep_grace, 0, 30 * 86400),
        sweep_destroy=found.switch("PURE_ORPHAN_DESTROY", Settings.sweep_destroy),
        drain=found.number("PURE_DRAIN", Settings.drain, 0, 600),
        kubeconfig=found.text("KUBECONFIG", ""),
        api_host=found.text("KUBERNETES_SERVICE_HOST", ""),
        api_port=found.text("KUBERNETES_SERVICE_PORT", Settings.api_port),
        account=account,
        namespace=found.text("POD_NAMESPACE", "") or _namespace_of(account),
        pod=found.text("HOSTNAME", "") or os.uname().nodename,
    )


def environment() -> Mapping[str, str]:
    """Where {"env": NAME} tokens of pure.json are looked up."""
    return os.environ


def _node_keys(text: str) -> Keys:
    """"rack,zone=topology.kubernetes.io/zone" as pairs of an array's label and the node's label that goes with it."""
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        label, _, key = map(str.strip, part.partition("="))
        key = key or TOPOLOGY_PREFIX + label
        if not (label and is_key(key)):
            raise ConfigError(f"PURE_PV_NODE_AFFINITY: {part!r} is neither the label of an array nor label=label of nodes")
        found.append((label, key))
    return tuple(found)


def _election_times(found: "_Reader") -> dict[str, float]:
    """The three times of leader election, which only make sense together."""
    times = {"lease": found.number("PURE_LEASE_DURATION", Settings.lease, 1, 3600),
             "renew": found.number("PURE_RENEW_DEADLINE", Settings.renew, 0.5, 3600),
             "renew_every": found.number("PURE_RENEW_EVERY", Settings.renew_every, 0.1, 3600)}
    if not times["lease"] > times["renew"] > 1.2 * times["renew_every"]:
        raise ConfigError("PURE_LEASE_DURATION must be more than PURE_RENEW_DEADLINE, and that more than 1.2 times "
                          "PURE_RENEW_EVERY")
    return times


def _namespace_of(account: Path) -> str:
    """The namespace of the pod we run in, as its service account says."""
    try:
        return (account / "namespace").read_text(encoding="utf-8").strip() or Settings.namespace
    except OSError:
        return Settings.namespace


class _Reader:
    """Reads single variables; an empty one is as good as none."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def text(self, name: str, default: str) -> str:
        return self._variables.get(name, "").strip() or default

    def one_of(self, name: str, words: tuple[str, ...], default: str) -> str:
        word = self.text(name, default).lower()
        if word not in words:
            raise ConfigError(f"{name}: {word!r} is not one of {', '.join(words)}")
        return word

    def switch(self, name: str, default: bool) -> bool:
        word = self.text(name, str(default)).lower()
        if word not in _TRUE + _FALSE:
            raise ConfigError(f"{name}: {word!r} is neither true nor false")
        return word in _TRUE

    def number(self, name: str, default: float, least: float, most: float) -> float:
        text = self.text(name, str(default))
        try:
            value = float(text)
        except ValueError:
            raise ConfigError(f"{name}: {text!r} is not a number") from None
        if not least <= value <= most:
            raise ConfigError(f"{name}: {text} is not between {least:g} and {most:g}")
        return value
