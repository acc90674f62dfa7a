"""The edge: kubelet runs this once per call-out and reads one JSON object, whatever happens.

A well-formed call is served from the table in verbs.py, without click. What only people type (help, doctor, version) goes to
people.py; so does everything else that is not a call of kubelet's, when stdout is a terminal. Without a terminal an unknown
call is `Not supported`, and a wrong number of arguments is a `Failure`.
"""

import posix                # what `os` is made of; an isolated interpreter has not loaded that, and `init` does without
import sys

from flex import reply, verbs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from flex.reply import Reply
    from flex.settings import Settings

PEOPLES = ("--help", "-h", "help", "--version", "version", "doctor")     # words that kubelet never says

LONGEST_CALL = 110.0        # seconds after which a call is cut, should its own deadlines fail; its roll-back …
ROLL_BACK = 3.0             # … gets this long, and then is cut too: kubelet sets no limit, and we promise two minutes
_SIGNALS = (1, 2, 15)       # HUP, INT, TERM; the module `signal` imports enum, which `init` would pay for
_SIGALRM, _ITIMER_REAL = 14, 0


class Cut(BaseException):
    """The call has to end now; raised wherever it is. Every step may be cut and repeated."""


def run() -> None:
    """The console script. Leaves by posix._exit: taking the interpreter down costs more than `init` does."""
    import gc
    gc.disable()
    status = _process(sys.argv)
    posix._exit(status)


def main(argv: "Sequence[str]", executable: str = "flex", stdout: int = 1) -> int:
    """Answer one call on the file descriptor `stdout` and return the exit status: 0 when the answer could be written."""
    return _tell(answer(argv, _settings(executable)), stdout)


def answer(argv: "Sequence[str]", settings: "Settings", own_streams: bool = False) -> "Reply":
    """The reply to one call of kubelet's, as good or bad as it may be.

    `own_streams`: stdout and stderr are this call's to redirect into the log.
    """
    if not argv:
        return reply.failure("which call? `flex --help` on a terminal lists them")
    name, *arguments = argv
    verb = verbs.find(name, settings)
    if verb is None:
        return reply.not_supported(name)
    if len(arguments) != len(verb.arguments):
        return reply.failure(f"{name} takes {' '.join(verb.arguments) or 'no arguments'}: "
                             f"{len(verb.arguments)} arguments, and {len(arguments)} were given")
    if not verb.works:
        return verb.answer(settings, *arguments)
    return _work(verb, arguments, settings, own_streams)


def _work(verb: verbs.Verb, arguments: "Sequence[str]", settings: "Settings", own_streams: bool) -> "Reply":
    """Run a call that touches the node; a closing line in the log says how it went."""
    import time

    from arrays.errors import PureError
    from flex import container, log
    began, reason = time.monotonic(), ""
    try:
        kept_inside = container.enter_host(settings.home) if own_streams and not settings.paths.root else ""
        log.open_file(settings.paths.log_file, settings.debug)
        if kept_inside:
            log.info(f"kubelet runs in a container, and so does this call: {kept_inside}")
        if own_streams:
            log.take_streams()
        told = verb.answer(settings, *arguments)
    except PureError as error:
        told, reason = reply.failure(str(error)), type(error).__name__
    except Cut as cut:
        reason = "Cut"
        told = reply.failure(f"{verb.name} was cut short: {cut}; it can be repeated")
    except OSError as error:
        told, reason = reply.failure(f"{error.filename or verb.name}: {error.strerror or error}"), "OSError"
        _log_traceback()
    except Exception as error:
        reason = "Unforeseen"
        told = reply.failure(f"unforeseen {type(error).__name__} in {verb.name}: its traceback is in the driver's log, "
                             f"{settings.paths.log_file}")
        _log_traceback()
    if reason:
        from flex import counts
        counts.add(settings.paths, counts.FAILED, verb.name, reason)
    subject = told.details or " ".join(argument for argument in arguments if argument.startswith("/"))
    log.info(f"{verb.name} {'ok' if told.status == reply.SUCCESS else 'failed'} {subject} "
             f"seconds={time.monotonic() - began:.2f}{told.message and ': '}{told.message}")
    return told


def _tell(told: "Reply", stdout: int) -> int:
    """Write the answer. Status 1 when that fails: then kubelet must not take the call for done."""
    text = told.to_json().encode() + b"\n"
    try:
        while text:
            text = text[posix.write(stdout, text):]
    except OSError:
        return 1
    return 0


def _process(argv: "list[str]") -> int:
    """A whole process: guard the streams, the signals and the time, and answer."""
    words = argv[1:]
    _open_streams()
    if _for_people(words):
        from flex import people
        return people.main(words, argv[0])
    answers = posix.dup(1)                 # close-on-exec: no child ever holds what kubelet reads
    sink = _sink()
    posix.dup2(sink, 1)                    # warnings, the dying words of libraries: nothing of it is an answer
    posix.dup2(sink, 2)
    _arm()
    try:
        told = answer(words, _settings(argv[0]), own_streams=True)
    except BaseException as error:      # even this must be one JSON object
        told = reply.failure(f"unforeseen {type(error).__name__}")
    _disarm()
    return _tell(told, answers)


def _sink() -> int:
    """Where lost words go: /dev/null; on a node without /dev a pipe nobody reads, which never blocks."""
    try:
        return posix.open("/dev/null", posix.O_RDWR)
    except OSError:
        return posix.pipe2(posix.O_NONBLOCK)[1]


def _for_people(words: "Sequence[str]") -> bool:
    if words and words[0] in PEOPLES or len(words) == 2 and words[1] in ("--help", "-h") and words[0] in verbs.TABLE:
        return True
    verb = verbs.TABLE.get(words[0]) if words else None
    return (verb is None or len(words) - 1 != len(verb.arguments)) and posix.isatty(1)


def _open_streams() -> None:
    """Open what the caller closed, or the next file opened would be taken for a stream."""
    for stream in (0, 1, 2):
        try:
            posix.fstat(stream)
        except OSError:
            _sink()


def _settings(executable: str) -> "Settings":
    from flex import settings
    return settings.read(executable)


def _arm() -> None:
    """Let signals and the alarm end the call where it is."""
    from _signal import setitimer, signal    # type: ignore[import-not-found]

    def cut(number: int, frame: "FrameType | None") -> None:
        raise Cut(f"no end after {LONGEST_CALL:g} s" if number == _SIGALRM else f"signal {number}")

    for number in (*_SIGNALS, _SIGALRM):
        signal(number, cut)
    setitimer(_ITIMER_REAL, LONGEST_CALL, ROLL_BACK)


def _disarm() -> None:
    """From here on the answer is written, whole, whoever is impatient."""
    from _signal import SIG_IGN, setitimer, signal
    setitimer(_ITIMER_REAL, 0)
    for number in _SIGNALS:
        signal(number, SIG_IGN)


def _log_traceback() -> None:
    """A bug, or the system said no where nobody expected it; the options in argv are not part of a traceback."""
    from traceback import format_exc

    from flex import log
    log.info(format_exc().rstrip())
