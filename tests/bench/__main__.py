"""`make bench`: every budget of ours as a ratio or a number measured in one run; status 1 when one is not kept.

The table goes to stdout, and as a picture into docs/pictures/bench.svg, which the README shows.
"""

import importlib
import os
import platform
import sys
import time
from pathlib import Path

from tests.bench import budget, picture

PARTS = {"startup": "Starting the driver, to a bare interpreter (1 ×)",
         "bundle": "The same in the bundle nodes get, to a bare interpreter (1 ×)",
         "array_client": "Array calls", "provisioner": "The provisioner"}
PICTURE = Path(__file__).resolve().parents[2] / "docs/pictures/bench.svg"


def main() -> int:
    measured: dict[str, list[budget.Budget]] = {}
    for name, title in PARTS.items():
        print(f"\n--- {name}", flush=True)
        measured[title] = importlib.import_module(f"tests.bench.{name}").run()
    where = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    PICTURE.write_text(picture.svg(measured, f"Measured {time.strftime('%Y-%m-%d')}, {where}."))
    print(f"\n{PICTURE}: the same as a picture")
    return budget.status(one for budgets in measured.values() for one in budgets)


if __name__ == "__main__":
    sys.exit(main())
