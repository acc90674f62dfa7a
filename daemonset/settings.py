"""What the daemon is told: the command line of the published chart, and environment variables.

The names are the published chart's; the few of our own have defaults that suit it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# What the driver reads from `.settings.json` beside it; kubelet gives it no environment.
DRIVER_SETTINGS = (
    "PURE_FLASHARRAY_SAN_TYPE", "PURE_K8S_NAMESPACE", "PURE_DEFAULT_BLOCK_FS_TYPE", "PURE_DEFAULT_BLOCK_FS_OPT",
    "PURE_DEFAULT_BLOCK_MNT_OPT", "PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT", "PURE_ISCSI_ALLOWED_CIDRS",
    "PURE_ISCSI_LOGIN_TIMEOUT", "PURE_DEFAULT_ENABLE_FB_NFS_SNAPSHOT", "PURE_FLEX_ATTACH", "PURE_PREEMPT_RWO_GRACE",
    "PURE_UNMOUNT_NO_PATH_GRACE", "PURE_FLEX_DEBUG",
)
STATE = "/var/lib/pure-flex"


@dataclass(frozen=True)
class Settings:
    """One daemon's job on one node."""

    plugin_dir: Path              # kubelet's volume plugin directory, as this process sees it
    arrays: Path                  # pure.json, mounted from the Secret
    bundle: Path                  # what `make bundle` built
    driver_settings: str          # JSON for `.settings.json`
    mount_tables: tuple[Path, ...]  # where the node's mounts can be read; none readable: nothing is known
    states: tuple[Path, ...]      # where the driver's state on the node may be seen: our manifest's volume, else as root may
    interval: float               # seconds between two looks
    health_port: int              # 0: no endpoint
    scratch: Path                 # where older charts' preStop hooks put their flags


def read(plugin_dir: str, debug: bool = False, environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment; `plugin_dir` and `debug` come from the command line."""
    driver = {name: environment[name] for name in DRIVER_SETTINGS if name in environment}
    if debug:
        driver["PURE_FLEX_DEBUG"] = "true"
    return Settings(
        plugin_dir=Path(plugin_dir),
        arrays=Path(environment.get("PURE_DISCOVERY_CONF", "/etc/pure/pure.json")),
        bundle=Path(environment.get("PURE_FLEX_BUNDLE", "/opt/pure-flex")),
        driver_settings=json.dumps(driver, indent=1, sort_keys=True) + "\n",
        mount_tables=(Path(environment.get("PURE_NODE_MOUNTINFO", "/proc/1/mountinfo")),),
        states=tuple(map(Path, environment.get("PURE_NODE_STATE", f"{STATE}:/proc/1/root{STATE}").split(":"))),
        interval=float(environment.get("PURE_DAEMON_INTERVAL", "10")),
        health_port=int(environment.get("PURE_DAEMON_HEALTH_PORT", "9818")),
        scratch=Path("/tmp"),
    )
