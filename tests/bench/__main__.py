"""`make bench`: every budget of ours as a ratio or a number measured in one run; status 1 when one is not kept."""

import importlib
import sys

PARTS = ("startup", "bundle", "array_client", "provisioner")


def main() -> int:
    kept = True
    for name in PARTS:
        print(f"\n--- {name}", flush=True)
        kept &= importlib.import_module(f"tests.bench.{name}").main() == 0
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
