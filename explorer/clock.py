"""Times as the API server and the arrays write them, and as people read them. Pure."""

from datetime import datetime, timezone

_STEPS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def moment(text: str) -> float | None:
    """Seconds since 1970 of "2026-11-21T12:00:00Z", with or without fractions; None when there is nothing to read."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()


def span(seconds: float) -> str:
    """"3 d", "2 h", "5 min", "12 s": the largest unit only; what lies ahead by a skewed clock is "0 s"."""
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "0 s"


def age(text: str, now: float) -> str:
    """How long ago a time of the API server was, "" when it says none."""
    at = moment(text)
    return "" if at is None else span(now - at)


def shown(text: str) -> str:
    """A time for people: "2026-11-21 12:00:05 UTC"."""
    at = moment(text)
    return "" if at is None else utc(at)


def utc(seconds: float) -> str:
    """The same of seconds since 1970."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
