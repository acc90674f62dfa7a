"""os-brick's ISCSIConnector on the same target, in one process without its privilege daemon: one JSON line a command.

Reads lines {"do": "attach"|"detach", "connection": …} and answers {"ms": …, "path": …}; started by tests/lab/bench.py.
"""

import json
import sys
import time

import os_brick
from os_brick.initiator.connectors import iscsi
from os_brick.privileged import default
from oslo_concurrency import lockutils
from oslo_config import cfg


def main() -> None:
    """Serve until the input ends."""
    lockutils.set_defaults("/run/lock")
    cfg.CONF([], project="lab")
    os_brick.setup(cfg.CONF)
    default.set_client_mode(False)           # run privileged functions here: we are root
    connector = iscsi.ISCSIConnector(None, use_multipath=True, device_scan_attempts=5)
    print(json.dumps({"ready": True}), flush=True)
    held = None
    for line in sys.stdin:
        order = json.loads(line)
        began = time.monotonic()
        if order["do"] == "attach":
            held = connector.connect_volume(order["connection"])
        else:
            connector.disconnect_volume(order["connection"], held)
        print(json.dumps({"ms": (time.monotonic() - began) * 1000, "path": held and held["path"]}), flush=True)


if __name__ == "__main__":
    main()
