"""Where a claim would go, asked of the provisioner's own placement with the figures of now. Pure; reserves nothing."""

from collections.abc import Mapping
from typing import NamedTuple

from arrays.errors import ConfigError, PureError
from explorer.fleet import ArraySeen
from explorer.rows import Load
from provisioner.claims import Claim, parse
from provisioner.classes import VolumeClass, parse_class
from provisioner.objects import ClaimRecord, ClassRecord
from provisioner.placement import ArrayState, ordered, rank, refusal
from provisioner.wellknown import BLOCK


class Choice(NamedTuple):
    """One array's answer: `refusal` is "" when it could take the volume; `busy` speaks against it; `chosen` marks the one
    that would."""

    array: str
    refusal: str
    busy: str
    used_percent: float
    volumes: int
    chosen: bool


class Answer(NamedTuple):
    """`problem` says why no claim of that kind could be served at all; then there are no choices."""

    backend: str
    choices: tuple[Choice, ...]
    problem: str = ""

    @property
    def chosen(self) -> str:
        return next((one.array for one in self.choices if one.chosen), "")


def state(array: ArraySeen, load: Load, busy: float) -> ArrayState:
    """An array as placement sees it; `busy` are the milliseconds of waiting that make one busy, 0 for never."""
    found = array.measure
    waits = f"its hosts wait {found.wait:.0f} ms for it" if 0 < busy <= found.wait else ""
    return ArrayState(array.name, array.backend, array.labels, found.capacity, found.used, found.volumes, array.problem,
                      coming=load.coming, pods=found.pods, busy=waits)


def ask(record: ClassRecord, size: str, labels: str, arrays: Mapping[str, ArraySeen],
        loads: Mapping[str, Load], busy: float = 0.0) -> Answer:
    """What placement says to a claim of that class and size whose selector asks for labels "env=dev,rack=22"."""
    try:
        volume_class = parse_class(record)
        claim = imagined(volume_class, size, labels)
    except PureError as error:
        return Answer("", (), str(error))
    states = [state(array, loads.get(array.name, Load(0, 0, 0)), busy) for array in arrays.values()
              if array.backend == volume_class.backend]
    refusals = {one.name: refusal(one, claim) for one in states}
    fitting = ordered([one for one in states if not refusals[one.name]])
    refused = sorted((one for one in states if refusals[one.name]), key=rank)
    return Answer(volume_class.backend, tuple(
        Choice(one.name, refusals[one.name], one.busy, one.used_percent, one.volumes, fitting[:1] == [one])
        for one in [*fitting, *refused]))


def imagined(volume_class: VolumeClass, size: str, labels: str) -> Claim:
    """A claim that nobody made; ConfigError when it could not be served."""
    mode = "ReadWriteOnce" if volume_class.backend == BLOCK else "ReadWriteMany"
    record = ClaimRecord("0", "what", "if", "", volume_class.name, "", False, size, "", (mode,),
                         selector={"matchLabels": pairs(labels)})
    return parse(record, volume_class)


def pairs(text: str) -> dict[str, str]:
    """{"env": "dev"} of "env=dev, rack=22"; ConfigError for a part without "="."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not (equals and key.strip()):
            raise ConfigError(f"labels: {part!r} is not key=value")
        found[key.strip()] = value.strip()
    return found
