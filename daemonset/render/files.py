"""Values files: read, wrapped when they are a pure.json, and laid over each other as helm does it."""

import copy
import functools
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from arrays.errors import ConfigError
from daemonset.render import CHART
from daemonset.render.assign import assign
from daemonset.render.yamltext import LOADER


class _Loader(LOADER):    # type: ignore[misc]     # one of two classes, chosen at run time
    """Refuses a key that is written twice: YAML's own rule, which PyYAML does not hold."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        keys = [self.construct_object(key) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = [str(key) for index, key in enumerate(keys) if key in keys[:index]]
        if twice:
            raise yaml.MarkedYAMLError(problem=f"{twice[0]} is written twice", problem_mark=node.start_mark)
        return found


def read(path: Path) -> dict[str, Any]:
    """The values in a file. A pure.json is told by its content and comes back as {"arrays": ...}."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    try:
        found = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}" if mark else ""
        # not str(error): it quotes the line, and a token may be in it
        raise ConfigError(f"{path}{place}: {error.problem or 'is not YAML'}") from None
    except yaml.YAMLError:
        raise ConfigError(f"{path}: is not YAML: it has characters in it that no text has") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: is neither a values file nor a pure.json: write keys and values")
    return {"arrays": found} if "FlashArrays" in found or "FlashBlades" in found else found


def defaults() -> dict[str, Any]:
    """What values.yaml of the chart says."""
    return copy.deepcopy(_defaults())


@functools.cache
def _defaults() -> dict[str, Any]:
    return read(CHART / "values.yaml")


def platforms() -> dict[str, str]:
    """Platform -> plugin directory."""
    return {str(name): str(path) for name, path in read(CHART / "platforms.yaml").items()}


def merged(files: Iterable[Path], assignments: Iterable[str] = ()) -> dict[str, Any]:
    """Defaults, then each file over what is there, then each --set: the later one wins."""
    found = defaults()
    for path in files:
        found = over(found, read(path))
    for text in assignments:
        assign(found, text)
    return found


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`: objects key by key, everything else replaced, null takes a key away."""
    found = copy.deepcopy(dict(below))
    for key, value in above.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(found.get(key), Mapping):
            found[key] = over(found[key], value)
        else:
            found[key] = copy.deepcopy(value)
    return found
