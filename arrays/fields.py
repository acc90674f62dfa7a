"""The fields of one entry of pure.json: what a person wrote goes in, a checked value comes out.

Every complaint is a ConfigError that begins with the field's place ("pure.json: FlashArrays[1]: Labels") and never
shows a value: it may be a token that was put into the wrong field.
"""

from collections.abc import Mapping, Sequence

from arrays.errors import ConfigError
from arrays.names import check_pod_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")
_IPV6 = frozenset("0123456789abcdefABCDEF:.")
_HEX = frozenset("0123456789abcdefABCDEF")
_ABOUT_CERTIFICATES = ("verif", "tls", "ssl", "cert")


def kind(value: object) -> str:
    """What a JSON value is, for a complaint."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"


def refuse_twice(found: "Mapping[str, Any]", place: str) -> None:
    """Refuse an object some key of which was written twice (fleet.py's JSON objects remember that)."""
    if twice := getattr(found, "twice", ()):
        raise ConfigError(f"{place}: {twice[0]} is written twice: keep one of them")


def check_present(entry: "Mapping[str, Any]", needed: Sequence[str], place: str) -> None:
    """Refuse an entry that lacks a field; one that differs in nothing but case is named as the slip it is."""
    missing = [key for key in needed if entry.get(key) in (None, "")]
    if missing:
        wanted = {key.lower(): key for key in missing}
        slips = [f"write {key} as {wanted[str(key).lower()]}" for key in entry
                 if str(key).lower() in wanted and key not in missing]
        raise ConfigError(f"{place}: add {' and '.join(missing)}{' (' + ', '.join(slips) + ')' if slips else ''}")


def endpoint(value: object, place: str, port: bool = True) -> str:
    """A host or address, IPv6 in brackets, with ":port" where one is allowed; "https://" before it is dropped."""
    text = _text(value, place).removeprefix("https://").rstrip("/")
    if looks_like_token(text):
        raise ConfigError(f"{place}: looks like an API token: write the address here and the token in APIToken")
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    host, tail = _split_port(text)
    if not _is_host(host) or (tail and not (port and _is_port(tail))):
        example = "1.2.3.4 or array.example.com" + (", with :port if that is not 443" if port else "")
        raise ConfigError(f"{place}: is no address: write one like {example}")
    return text


def nfs_endpoint(entry: "Mapping[str, Any]", place: str) -> "Any":
    """NfsEndPoint in either spelling (the 5.x and the 6.x charts differ), None when there is none."""
    both = [entry[key] for key in ("NfsEndPoint", "NFSEndPoint") if entry.get(key) not in (None, "")]
    if len(both) == 2 and both[0] != both[1]:
        raise ConfigError(f"{place}: NfsEndPoint and NFSEndPoint differ: keep NfsEndPoint only")
    return both[0] if both else None


def token(value: object, place: str, environment: Mapping[str, str]) -> str:
    """An API token, written out or referred to as {"file": path} or {"env": name}."""
    found = _text(_referred(value, place, environment) if isinstance(value, Mapping) else value, place)
    if not found:
        raise ConfigError(f"{place}: is empty")
    if not (found.isascii() and found.isprintable() and " " not in found):
        raise ConfigError(f"{place}: has characters in it that no token has")
    return found


def looks_like_token(text: str) -> bool:
    """Whether a text has the form of a token: a UUID (FlashArray) or "T-" and a UUID (FlashBlade)."""
    groups = text.removeprefix("T-").split("-")
    return [len(group) for group in groups] == [8, 4, 4, 4, 12] and set("".join(groups)) <= _HEX


def labels(value: object, place: str) -> dict[str, str]:
    """Labels as texts: `rack: 22` is "22", `ssd: true` is "true"."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place}: is {kind(value)}, not an object of names and values")
    refuse_twice(value, place)
    return {str(key): _label(found, f"{place}: {key}") for key, found in value.items()}


def verify(value: object, place: str) -> bool | str:
    """VerifyTLS: False when absent, True, or the full path of a CA file; "true" and "FALSE" are understood."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str):
        if value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        if value.startswith("/"):
            return value
    raise ConfigError(f"{place}: write true, false or the full path of a CA file")


def refuse_misspelt_verify(entry: "Mapping[str, Any]", place: str) -> None:
    """Refuse an entry with something like VerifyTLS: left out, the token would go to whoever answers at that address."""
    for key in entry:
        if key != "VerifyTLS" and any(part in str(key).lower() for part in _ABOUT_CERTIFICATES):
            raise ConfigError(f"{place}: write {key} as VerifyTLS: nothing else decides whether certificates are verified")


def pods(value: object, place: str) -> tuple[str, ...]:
    """ReplicationPods as a list or as "pod1,pod2"."""
    if value is None:
        return ()
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(pod, str) for pod in found):
        raise ConfigError(f"{place}: write a list of the names of pods")
    try:
        return tuple(dict.fromkeys(check_pod_name(pod.strip()) for pod in found))
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{place}: is {kind(value)}, not a text")
    return value.strip()


def _referred(reference: "Mapping[str, Any]", place: str, environment: Mapping[str, str]) -> str:
    match list(reference.items()):
        case [(_, str(name))] if looks_like_token(name):
            raise ConfigError(f"{place}: write a token as it is, without braces around it")
        case [("env", str(name))]:
            if name not in environment:
                raise ConfigError(f"{place}: the environment has no {name}")
            return environment[name]
        case [("file", str(path))]:
            return _first_token(path, place)
    raise ConfigError(f'{place}: write the token, {{"file": "/path"}} or {{"env": "NAME"}}')


def _first_token(path: str, place: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError as error:
        raise ConfigError(f"{place}: {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{place}: {path} holds no token") from None


def _split_port(text: str) -> tuple[str, str]:
    """("1.2.3.4", ":8443") of "1.2.3.4:8443"; ("[fd00::1]", "") of "[fd00::1]"."""
    end = text.find("]") + 1 if text.startswith("[") else text.find(":")
    return (text[:end], text[end:]) if end > 0 else (text, "")


def _is_host(host: str) -> bool:
    if host.startswith("["):
        return host.endswith("]") and ":" in host and set(host[1:-1]) <= _IPV6
    return bool(host) and set(host) <= _HOST and host[0] not in ".-"


def _is_port(tail: str) -> bool:
    number = tail.removeprefix(":")
    return number != tail and number.isascii() and number.isdecimal() and len(number) < 6 and 0 < int(number) < 65536


def _label(value: object, place: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ConfigError(f"{place}: is {kind(value)}, not a text")
