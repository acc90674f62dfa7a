"""What can go wrong and be foreseen: one tree for all programs, worded for whoever reads `kubectl describe`.

    PureError               foreseen; everything else is a bug and is logged with its traceback
    ├─ ConfigError          pure.json, settings, StorageClass                       retry = False
    ├─ Refused              an array or Kubernetes said no                          retry = False
    │  ├─ NotFound            what was named is not there
    │  ├─ VolumeDiffers       it is there, and is not what was asked for
    │  └─ TokenRefused        log-in refused
    ├─ NoArrayFits          every array with its reason                             retry = True  (space may come)
    ├─ Unreachable          no usable answer from an array, a portal or the API     retry = True
    │  └─ Unusable            it answers, and cannot be worked with as it is
    ├─ CommandFailed        argv, status, output                                    retry = True
    ├─ NeverHappened        what we waited for, how long                            retry = True
    └─ Busy                 somebody else works on it just now                      retry = True

`retry` is the caller's only question: may the same call succeed later without anybody changing what was asked?
Whoever asks several arrays and can do without one of them catches PureError for each of them.

Plain classes without imports: a call-out of the driver that lives five milliseconds pays for every import.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OUTPUT_SHOWN = 400          # characters of a command's output in a message; kubelet puts the message into an event


class PureError(Exception):
    """A foreseen failure; str() is one sentence for an operator."""

    retry = False


class ConfigError(PureError):
    """Something a person wrote (pure.json, a setting, a StorageClass) cannot be used; `message` names the place."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Refused(PureError):
    """`who` ("FlashArray 1.2.3.4") said no to `what` ("create volume k8s-pvc-1") in the words of `text`."""

    def __init__(self, who: str, what: str, text: str = "") -> None:
        super().__init__(who, what, text)
        self.who = who
        self.what = what
        self.text = text

    def says(self, part: str) -> bool:
        """Whether the refusal's words contain `part`, in any case."""
        return part.lower() in self.text.lower()

    def __str__(self) -> str:
        return _sentence(f"{self.who} refused to {self.what}", self.text)


class NotFound(Refused):
    """`who` has no `what` ("volume k8s-pvc-1"); `text` is what it said, or what is known beside."""

    def __str__(self) -> str:
        return _sentence(f"{self.who} has no {self.what}", self.text)


class VolumeDiffers(Refused):
    """`what` ("volume k8s-pvc-1") exists and is not what was asked for: `wanted` and `found` say in what."""

    def __init__(self, who: str, what: str, wanted: str, found: str) -> None:
        super().__init__(who, what, f"wanted {wanted}, found {found}")
        self.args = (who, what, wanted, found)
        self.wanted = wanted
        self.found = found

    def __str__(self) -> str:
        return f"{self.who} already has {self.what} with {self.found}, and {self.wanted} was asked for"


class TokenRefused(Refused):
    """`who` did not accept the API token, or what it stands for may not do `what`."""

    def __str__(self) -> str:
        return _sentence(f"{self.who} refused the API token to {self.what}", self.text)


class NoArrayFits(PureError):
    """No array can hold `what`; `refusals` has the reason of each array by its name."""

    retry = True

    def __init__(self, what: str, refusals: "Mapping[str, str]") -> None:
        super().__init__(what, dict(refusals))
        self.what = what
        self.refusals = dict(refusals)

    def __str__(self) -> str:
        if not self.refusals:
            return f"no array fits {self.what}: pure.json names none of that kind"
        reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(self.refusals.items()))
        return f"no array fits {self.what}: {reasons}"


class Unreachable(PureError):
    """`who` gave no usable answer; `why` says what was seen. What was asked may have been done: look, or repeat."""

    retry = True

    def __init__(self, who: str, why: str) -> None:
        super().__init__(who, why)
        self.who = who
        self.why = why

    def __str__(self) -> str:
        return f"{self.who} cannot be reached: {self.why}"


class Unusable(Unreachable):
    """`who` answers, and as it is set up or versioned nothing can be done with it; `why` says what to change."""

    def __str__(self) -> str:
        return f"{self.who} cannot be used: {self.why}"


class CommandFailed(PureError):
    """A command on this node ended with a status that means failure; `output` is stdout and stderr."""

    retry = True

    def __init__(self, argv: "Sequence[str]", status: int, output: str) -> None:
        super().__init__(tuple(argv), status, output)
        self.argv = tuple(argv)
        self.status = status
        self.output = output

    def __str__(self) -> str:
        said = " ".join(self.output.split())
        if len(said) > OUTPUT_SHOWN:
            said = f"{said[:OUTPUT_SHOWN // 2]} ... {said[-OUTPUT_SHOWN // 2:]}"
        return _sentence(f"`{' '.join(self.argv)}` ended with status {self.status}", said)


class NeverHappened(PureError):
    """`what` (a noun phrase: "the multipath device of 3624a93…") did not come within `timeout` seconds."""

    retry = True

    def __init__(self, what: str, timeout: float) -> None:
        super().__init__(what, timeout)
        self.what = what
        self.timeout = timeout

    def __str__(self) -> str:
        return f"waited {self.timeout:g} s in vain for {self.what}"


class Busy(PureError):
    """Somebody else works on `what` ("volume k8s-pvc-1"); `why` says who or what, if known."""

    retry = True

    def __init__(self, what: str, why: str = "") -> None:
        super().__init__(what, why)
        self.what = what
        self.why = why

    def __str__(self) -> str:
        return _sentence(f"{self.what} is busy", self.why)


def _sentence(head: str, detail: str) -> str:
    return f"{head}: {detail}" if detail else head
