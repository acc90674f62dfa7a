"""One run of a tool on a pretend node: its arguments, what it says, and whether somebody killed it meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass, field


class ToolFails(Exception):
    """The tool ends with `status` after `text` on stderr."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass
class Call:
    """argv[0] is the tool's name."""

    argv: list[str]
    killed: Callable[[], bool]
    directory: str = "/"                       # working directory of the caller
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    run: Callable[[list[str]], int | None] = lambda argv: None      # let the caller run a real program; its status

    @property
    def tool(self) -> str:
        return self.argv[0]

    def say(self, line: str) -> None:
        self.out.append(line + "\n")

    def complain(self, line: str) -> None:
        self.err.append(line + "\n")


Tools = dict[str, Callable[[Call], int]]
