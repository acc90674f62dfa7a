"""Which array has a volume: the PV's hint first, then the whole fleet side by side.

A volume may have moved since its PV was made, and PVs of the original driver name no array. What is found nowhere is an
error that says who was asked and who could not be: a volume must not count as gone because its array was away.
"""

from _queue import Empty, SimpleQueue      # `queue` adds classes in Python that nobody here needs
from functools import partial
from threading import Thread

from arrays.errors import NotFound, PureError, Refused, Unreachable
from arrays.names import pod_of
from arrays.tuples import NamedTuple
from flex import log, state
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from arrays.flasharray import FlashArray, Volume
    from arrays.flashblade import FileSystem, FlashBlade
    from arrays.fleet import Fleet
    from flex.machine import Node

    Place = tuple[Any, Any]                     # the array's client, and what it knows of the volume
    Look = Callable[[], "Place | None"]

SILENT = "silent"       # the kind of trouble that is counted while an array gives no answer
PATIENCE = 40.0         # seconds for all arrays together; each client has shorter limits of its own


class Sought(NamedTuple):
    """What is looked for."""

    kind: str               # "volume", "file system"
    name: str               # on the array
    hint: str               # the array that the PV names, or ""
    pv: str                 # "" when the caller does not know it

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def flash_array(node: "Node", fleet: "Fleet", volume: str, hint: str = "", pv: str = "") -> "tuple[FlashArray, Volume]":
    """The FlashArray that has `volume`, and what it knows of it.

    NotFound names volume, PV and the arrays asked; Unreachable when it may be on one that gave no answer, also when that is
    the hinted one and another has a namesake, which may be a copy; Refused when two arrays have different volumes of this
    name and the hint does not decide.
    """
    return _find(Sought("volume", volume, hint, pv), _flash_arrays(fleet, volume), node, fleet)


def flash_blade(node: "Node", fleet: "Fleet", volume: str, hint: str = "",
                pv: str = "") -> "tuple[FlashBlade, FileSystem]":
    """The FlashBlade that has the file system `volume`, and what it knows of it; errors as for flash_array."""
    return _find(Sought("file system", volume, hint, pv), _flash_blades(fleet, volume), node, fleet)


def anywhere(node: "Node", fleet: "Fleet", volume: str, hint: str = "", pv: str = "") -> "Place":
    """The array of either kind that has `volume`: for PVs that do not say which kind; errors as for flash_array."""
    looks = {**_flash_blades(fleet, volume), **_flash_arrays(fleet, volume)}
    return _find(Sought("volume", volume, hint, pv), looks, node, fleet)


def _flash_arrays(fleet: "Fleet", volume: str) -> "dict[str, Look]":
    from arrays.flasharray import FlashArray

    def look(array: "FlashArray") -> "Place | None":
        found = array.find_volume(volume)
        return (array, found) if found else None
    return {entry.name: partial(look, FlashArray(entry)) for entry in fleet.flash_arrays}


def _flash_blades(fleet: "Fleet", volume: str) -> "dict[str, Look]":
    from arrays.flashblade import FlashBlade

    def look(blade: "FlashBlade") -> "Place | None":
        found = blade.find_file_system(volume)
        return (blade, found) if found and not found.destroyed else None
    return {entry.name: partial(look, FlashBlade(entry)) for entry in fleet.flash_blades}


def _find(sought: Sought, looks: "dict[str, Look]", node: "Node", fleet: "Fleet") -> "Place":
    asked = sorted(looks)
    hinted = looks.pop(sought.hint, None)
    places, failures = _ask({sought.hint: hinted}) if hinted else ([], {})
    if not places:
        places, more = _ask(looks)
        failures.update(more)
    if sought.hint in failures:
        if places:
            _check_silence(sought, failures[sought.hint], places[0][0].name, node)
    elif pod_of(sought.name):
        state.stop_waiting(node.paths, SILENT, f"{sought.hint} {sought.name}")
    told = [f"asked {', '.join(asked)}" if asked else f"{node.settings.fleet_file} names no array of that kind"]
    what = f"{sought} of PV {sought.pv}" if sought.pv else str(sought)
    return _only(places, failures, asked, what, "; ".join([*told, *fleet.complaints]))


def _check_silence(sought: Sought, why: PureError, other: str, node: "Node") -> None:
    """Unreachable while an array of this name may not stand in for the one that the PV names, which gives no answer.

    A volume of a stretched pod is the same on all its arrays. But who writes it through the silent one is not seen on the
    other, and an array whose management is away for a moment serves its hosts all the same: so it has to be silent for the
    grace that a host has before a volume is taken from it (design.md 3.5, rule 6), counted over kubelet's repeats.
    """
    told = f"the PV says that {sought} is there ({why})"
    if not pod_of(sought.name):
        raise Unreachable(sought.hint, f"{told}; {other} has one of that name too, a copy perhaps, which is not taken "
                          "for it")
    told = f"{told}; {other} has it too, in the same pod, and does not show who writes it through the other"
    if not node.settings.preempt:
        raise Unreachable(sought.hint, f"{told}. Preemption is off (PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT), so it is not "
                          "used there: bring the array back")
    waited = state.waited(node.paths, SILENT, f"{sought.hint} {sought.name}", node.clock())
    if waited < node.settings.preempt_grace:
        raise Unreachable(sought.hint, f"{told}: it is used there after {node.settings.preempt_grace:.0f} s of silence, of "
                          f"which {waited:.0f} s have passed")
    log.info(f"{sought.hint} has been silent for {waited:.0f} s: {sought} is used on {other}")


def _ask(looks: "Mapping[str, Look]") -> "tuple[list[Place], dict[str, PureError]]":
    """Ask all at once: the places found, and the error of each array that could not tell."""
    answers: "SimpleQueue[tuple[str, Any]]" = SimpleQueue()
    for name, look in looks.items():
        Thread(target=_answer, args=(answers, name, look), daemon=True).start()
    deadline = Deadline(PATIENCE)
    places: "list[Place]" = []
    failures: dict[str, PureError] = {name: Unreachable(name, f"no answer in {PATIENCE:g} s") for name in looks}
    for _ in looks:
        try:
            name, answer = answers.get(timeout=max(deadline.left(), 0.001))
        except Empty:
            break
        del failures[name]
        if isinstance(answer, PureError):
            log.info(f"asking {name}: {answer}")
            failures[name] = answer
        elif isinstance(answer, BaseException):
            raise answer
        elif answer is not None:
            places.append(answer)
    return places, failures


def _answer(answers: "SimpleQueue[tuple[str, Any]]", name: str, look: "Look") -> None:
    try:
        answers.put((name, look()))
    except BaseException as error:      # carried over to the thread that waits, which tells foreseen from not
        answers.put((name, error))


def _only(places: "Sequence[Place]", failures: "Mapping[str, PureError]", asked: "Sequence[str]", what: str,
          told: str) -> "Place":
    if len({getattr(found, "serial", array.name) for array, found in places}) > 1:
        owners = " and ".join(sorted(array.name for array, _ in places))
        raise Refused("the driver", f"choose between different volumes of one name, {what}",
                      f"{owners} each have one: add the option `array` to the PV")
    if places:
        return places[0]
    if len(failures) == len(asked) == 1:
        raise failures[asked[0]]
    if failures:
        silent = ", ".join(sorted(failures))
        reasons = "; ".join(str(failures[name]) for name in sorted(failures))
        others = ", ".join(name for name in asked if name not in failures) or "no other array"
        raise Unreachable(silent, f"{what} may be there, {others} has it not ({reasons})")
    raise NotFound("the fleet", what, told)
