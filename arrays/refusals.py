"""What arrays say when they say no, read into the error tree.

REST 1.x answers 400 for every error of meaning, "not found" too, and the text alone tells which; texts differ between
releases of Purity, so each test here accepts all that are known: those matched by openstack/cinder's last driver for
REST 1.x, PureStorage-OpenConnect/rest-client, kolesa-team/pve-purestorage-plugin and
jasoncheng7115/jt-pve-storage-purestorage.
Where an answer decides about data, the clients look at the object again instead of trusting a text.
"""

import json

from arrays.errors import NotFound, PureError, Refused, TokenRefused, Unreachable, Unusable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SHOWN = 300                 # characters of an array's words in a message

_GONE = ("does not exist", "no such volume", "no such host", "no such snapshot", "has been deleted", "not found")
_PENDING = ("has been destroyed",)
_EXISTS = ("already exists", "already connected")
_IN_USE = ("already in use",)
_NOT_CONNECTED = ("not connected", "connection does not exist")


def is_gone(refusal: Refused) -> bool:
    """The object is not there, or is eradicated."""
    return isinstance(refusal, NotFound) or _says(refusal, _GONE)


def is_pending(refusal: Refused) -> bool:
    """The object is destroyed and waits for its eradication."""
    return _says(refusal, _PENDING)


def is_there(refusal: Refused) -> bool:
    """The name is taken, or the connection exists."""
    return _says(refusal, _EXISTS)


def is_in_use(refusal: Refused) -> bool:
    """The initiator belongs to another host."""
    return _says(refusal, _IN_USE)


def is_disconnected(refusal: Refused) -> bool:
    """Host and volume are not connected, or one of them is not there to be connected."""
    return _says(refusal, _NOT_CONNECTED) or is_gone(refusal) or is_pending(refusal)


def is_about_host(refusal: Refused) -> bool:
    """What is missing is the host."""
    return refusal.says("host does not exist") or refusal.says("no such host")


class Declined(Exception):
    """An answer that is no success, before it is known what was asked."""

    def __init__(self, status: int, reason: str, body: str) -> None:
        super().__init__(status, reason, body)
        self.status = status
        self.body = body
        self._line = f"{status} {reason}".rstrip()

    def error(self, who: str, verb: str, thing: str) -> PureError:
        """What the answer means when `who` was asked to `verb` ("create") a `thing` ("volume k8s-pvc-1")."""
        text = said(self.body, thing)
        match self.status:
            case 401:
                return TokenRefused(who, f"{verb} {thing}", text or "check APIToken in pure.json")
            case 403:
                return TokenRefused(who, f"{verb} {thing}", text or "its user lacks the role storage_admin")
            case 404 | 405:     # no array answers so about a missing object: the call itself is not known
                return Unusable(who, f"it does not know the call to {verb} {thing} ({self._line}): is it being "
                                "upgraded?")
            case 429:
                return Unreachable(who, f"it is busy and asks for fewer calls ({self._line})")
            case 450:
                return Unusable(who, f"it no longer accepts the version of REST it offers ({self._line}): is it being "
                                "upgraded?")
        if 400 <= self.status < 500:
            refused = Refused(who, f"{verb} {thing}", text or self._line)
            return NotFound(who, thing, text) if is_gone(refused) or is_pending(refused) else refused
        if self.status >= 500:
            return Unreachable(who, f"it answered {self._line}" + (f": {text}" if text else ""))
        return Unreachable(who, f"it answered {self._line}: is this an array's management address?")

    def at_login(self, who: str) -> PureError:
        """What the answer means at log-in, where some releases say 400 to a token they do not know."""
        if self.status in (400, 401, 403):
            return TokenRefused(who, "log in", said(self.body) or "check APIToken in pure.json")
        return self.error(who, "log in", "with the API token")


def said(body: str, thing: str = "") -> str:
    """The array's words in an error body; the object they are about is added unless it is in `thing` already.

        [{"msg": "Volume does not exist.", "ctx": "k8s-pvc-1"}]                             REST 1.x
        {"pure_err_key": "ERR", "pure_err_code": 1, "msg": "…", "ctx": "…"}                 some releases of it
        {"errors": [{"code": 0, "message": "…", "context": "…"}]}                           FlashBlade, REST 2.x
    """
    try:
        found = json.loads(body)
    except ValueError:
        return _plain(body)
    if isinstance(found, dict) and isinstance(found.get("errors") or found.get("error"), list):
        found = found.get("errors") or found.get("error")
    rows = found if isinstance(found, list) else [found]
    return _cut("; ".join(filter(None, (_message(row, thing) for row in rows))))


def _message(row: "Any", thing: str) -> str:
    if not isinstance(row, dict):
        return str(row) if isinstance(row, str) else ""
    text = str(row.get("msg") or row.get("message") or row.get("pure_err_key") or "")
    about = str(row.get("ctx") or row.get("context") or "")
    return f"{text} ({about})" if about and about.lower() not in thing.lower() else text


def _plain(body: str) -> str:
    text = " ".join(body.split())
    return "" if text.startswith("<") else _cut(text)       # a web page has nothing to tell


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _says(refusal: Refused, texts: tuple[str, ...]) -> bool:
    """An answer about the token tells nothing of the object: "User does not exist." is no missing volume."""
    return not isinstance(refusal, TokenRefused) and any(refusal.says(text) for text in texts)
