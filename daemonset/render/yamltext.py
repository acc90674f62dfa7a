"""YAML read and written by libyaml where PyYAML was built with it, some ten times as fast; else by PyYAML itself."""

from typing import Any

import yaml

LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER: type[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def read_all(text: str) -> list[Any]:
    """Every document of `text`."""
    return list(yaml.load_all(text, LOADER))


def written(value: Any) -> str:
    """One document: a line each, keys in their order."""
    found: str = yaml.dump(value, Dumper=DUMPER, sort_keys=False, default_flow_style=False, width=1000)
    return found
