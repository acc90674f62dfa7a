"""What kubelet gets from a call: one JSON object with a `status`.

The words are compared exactly (driverCall in kubernetes/kubernetes pkg/volume/flexvolume/driver-call.go). `Not supported`
is remembered for the call's name until the driver is probed again: it is never said of one volume. Failures end with exit
status 0: kubelet then fails the call just the same, and does not copy the arguments, secrets and all, into its own log.
"""

from flex import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SUCCESS = "Success"
FAILURE = "Failure"
NOT_SUPPORTED = "Not supported"

LONGEST_MESSAGE = 2000          # characters; it goes into events of the pod


class Reply:
    """One answer. `extra` goes into the JSON beside status and message; `details` only into the log's closing line."""

    __slots__ = ("status", "message", "extra", "details")

    def __init__(self, status: str, message: str = "", extra: "Mapping[str, object] | None" = None,
                 details: str = "") -> None:
        self.status = status
        self.message = message
        self.extra = extra or {}
        self.details = details

    def to_json(self) -> str:
        told = {"status": self.status, **self.extra}
        if self.message:
            told["message"] = self.message
        return jsontext.render(told)


def success(details: str = "", **extra: object) -> Reply:
    return Reply(SUCCESS, extra=extra, details=details)


def failure(message: str) -> Reply:
    if len(message) > LONGEST_MESSAGE:
        message = message[:LONGEST_MESSAGE] + " …"
    return Reply(FAILURE, message or "failed without a word; see the driver's log")


def not_supported(call: str) -> Reply:
    return Reply(NOT_SUPPORTED, f"this driver has no call {call[:40]!r}")
