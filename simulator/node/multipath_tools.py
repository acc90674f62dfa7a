"""Asking multipathd (by its socket or by the command of that name), and multipath(8), as of multipath-tools 0.9.4."""

import shlex

from simulator.node.call import Call, ToolFails
from simulator.node.machine import Machine
from simulator.node.multipathd import Map, Multipathd
from simulator.node.scsi import Path

OK, FAIL, TIMEOUT = "ok\n", "fail\n", "timeout\n"


class MultipathTools:
    """Questions and orders to one node's multipathd."""

    def __init__(self, machine: Machine, daemon: Multipathd) -> None:
        self._machine, self._daemon = machine, daemon

    # -- multipathd

    def ask(self, text: str) -> str:
        """Answer one request. Call with the machine's lock held."""
        try:
            words = shlex.split(text)
        except ValueError:
            return FAIL
        handlers = {"add": self._add, "del": self._delete, "remove": self._delete, "resize": self._resize,
                    "disablequeueing": self._queueing, "restorequeueing": self._queueing, "show": self._show,
                    "list": self._show, "reconfigure": self._reconfigure, "reconfig": self._reconfigure}
        handler = handlers.get(words[0]) if words else None
        return handler(words[1:]) if handler else FAIL

    def _reconfigure(self, words: list[str]) -> str:
        self._daemon.start()
        return OK

    def _add(self, words: list[str]) -> str:
        match words:
            case ["map", wwid]:
                return self._add_map(wwid)
            case ["path", name]:             # alone it makes no map (node-attach.md 2.4)
                return OK if any(path.name == name for path in self._daemon.scsi.paths.values()) else FAIL
        return FAIL

    def _add_map(self, wwid: str) -> str:
        faults = self._machine.faults
        if faults.map_timeout:
            faults.map_timeout -= 1
            return TIMEOUT
        if self._daemon.of_wwid(wwid):
            return OK
        if faults.map_fails:
            faults.map_fails -= 1
            return FAIL
        if faults.map_never or wwid in self._machine.settings.blacklist:
            return FAIL
        return OK if self._daemon.build(wwid) else FAIL

    def _delete(self, words: list[str]) -> str:
        made = self._map(words)
        if made is None or self._daemon.in_use(made):
            return FAIL
        self._daemon.remove(made)
        return OK

    def _resize(self, words: list[str]) -> str:
        made = self._map(words)
        return OK if made and self._daemon.resize(made) else FAIL

    def _queueing(self, words: list[str]) -> str:
        if words[:1] == ["maps"]:
            chosen = list(self._daemon.maps.values())
        elif made := self._map(words):
            chosen = [made]
        else:
            return FAIL
        for each in chosen:
            each.queueing = False
            self._daemon.follow(each)
        return OK

    def _map(self, words: list[str]) -> Map | None:
        """The map of "map NAME": by its name, not by its WWID."""
        return self._daemon.named(words[1]) if len(words) == 2 and words[0] in ("map", "multipath") else None

    def _show(self, words: list[str]) -> str:
        match words:
            case ["paths"]:
                return self._paths("%i %d %D %t %o %T")
            case ["paths", "format" | "raw", *rest]:
                return self._paths(rest[-1], header="raw" not in words)
            case ["maps" | "multipaths"]:
                return table("name sysfs uuid", [(each.alias, each.name, each.wwid) for each in self._maps()])
            case ["maps" | "multipaths", "format" | "raw", *rest]:
                return self._maps_as(rest[-1], header="raw" not in words)
            case ["map", name, "topology"] if made := self._daemon.named(name):
                return topology(made, self._daemon)
            case ["devices"]:
                return self._devices()
            case ["status"]:
                return f"path checker states:\nup                  {len(self._daemon.known)}\n"
            case ["daemon"]:
                return "pid 700 idle\n"
            case ["blacklist"]:
                return "".join(f"wwid rules:\n- {wwid}\n" for wwid in sorted(self._machine.settings.blacklist)) or "none\n"
            case ["config", *_]:
                return configuration(self._machine)
        return FAIL

    def _maps(self) -> list[Map]:
        return list(self._daemon.maps.values())

    def _paths(self, form: str, header: bool = True) -> str:
        """show paths format: %w uuid %t dm_st %T chk_st %o dev_st %d dev %i hcil %D dev_t %m multipath %s vend/prod."""
        titles = {"w": "uuid", "t": "dm_st", "T": "chk_st", "o": "dev_st", "d": "dev", "i": "hcil", "D": "dev_t",
                  "m": "multipath", "n": "target WWNN", "s": "vend/prod/rev", "z": "serial", "p": "pri"}
        rows = [self._path_fields(path) for path in self._daemon.known]
        return render(form, titles if header else {}, rows)

    def _devices(self) -> str:
        """Disks and whether multipathd looks at them; a blacklisted WWID counts as not."""
        blacklist = self._machine.settings.blacklist
        text = "available block devices:\n"
        for path in self._daemon.scsi.paths.values():
            known = path in self._daemon.known and path.uuid not in blacklist
            text += f"    {path.name} devnode {'whitelisted, monitored' if known else 'blacklisted, unmonitored'}\n"
        return text

    def _path_fields(self, path: Path) -> dict[str, str]:
        faulty = path in self._daemon.failed
        owner = path.map.alias if isinstance(path.map, Map) else "[orphan]"
        held = isinstance(path.map, Map)
        return {"w": path.uuid, "t": ("failed" if faulty else "active") if held else "undef",
                "T": "faulty" if faulty else "ready", "o": "running" if path.state == "running" else "offline",
                "d": path.name, "i": path.hctl, "D": path.number, "m": owner, "n": path.transport.target,
                "s": "PURE,FlashArray,8888", "z": path.unit.serial if path.unit else "", "p": "50"}

    def _maps_as(self, form: str, header: bool) -> str:
        titles = {"n": "name", "w": "uuid", "d": "sysfs", "N": "paths", "Q": "queueing", "S": "size", "t": "dm-st"}
        rows = [{"n": each.alias, "w": each.wwid, "d": each.name, "N": str(len(each.paths)),
                 "Q": "on" if each.queueing else "off", "S": f"{each.size / (1 << 30):.1f}G", "t": "active"}
                for each in self._maps()]
        return render(form, titles if header else {}, rows)

    # -- commands

    def multipathd(self, call: Call) -> int:
        """multipathd ORDER: the client of the socket; any other use would start the daemon."""
        words = [word.removeprefix("-k") for word in call.argv[1:] if word != "-k"]
        if not self._daemon.runs:
            raise ToolFails(1, "error connecting to multipathd: Connection refused")
        answer = self.ask(words[0] if len(words) == 1 else shlex.join(words))
        call.out.append(answer)
        if answer == TIMEOUT:
            return 0                          # node-attach.md 2.4: status 0 does not mean that it went well
        return 1 if answer == FAIL and not self._machine.settings.fail_exits_0 else 0

    def multipath(self, call: Call) -> int:
        """multipath -f | -F | -l | -ll | -a | -w | -v2 WWID."""
        flags = [word for word in call.argv[1:] if word.startswith("-") and not word.startswith("-v")]
        names = [word for word in call.argv[1:] if not word.startswith("-") and not word.isdigit()]
        if "-f" in flags or "-F" in flags:
            return self._flush(call, names, everything="-F" in flags)
        if "-l" in flags or "-ll" in flags:
            chosen = [each for each in self._maps() if not names or {each.alias, each.wwid, each.name} & set(names)]
            call.out += [topology(each, self._daemon) for each in chosen]
            return 0
        if "-t" in flags:
            call.say(configuration(self._machine))
            return 0
        if "-w" in flags:
            return 0 if names and self._daemon.forget(names[0]) else 1
        if names and not flags:
            return 0 if self._daemon.of_wwid(names[0]) or self._daemon.build(names[0], any_path=True) else 1
        return 0

    def _flush(self, call: Call, names: list[str], everything: bool) -> int:
        if not everything and not names:
            raise ToolFails(1, "need a map name to flush")
        status = 0
        for name in [each.alias for each in self._maps()] if everything else names:
            made = self._daemon.named(name)
            if made is None:
                call.complain(f"multipath: {name} is not a multipath device")
                status = 1
            elif self._daemon.in_use(made):
                call.say(f"Nov 21 09:00:00 | {made.alias}: map in use")
                status = 1
            else:
                self._daemon.remove(made)
        return status


def render(form: str, titles: dict[str, str], rows: list[dict[str, str]]) -> str:
    """Fill a format like "%w %t %T": a line of titles, then a line a row, columns aligned as multipathd does."""
    lines = ([titles] if titles else []) + rows
    letters = [form[index + 1] for index, char in enumerate(form[:-1]) if char == "%"]
    width = {letter: max([len(line.get(letter, "")) for line in lines], default=0) for letter in letters}
    text = ""
    for line in lines:
        shown = form
        for letter in letters:
            shown = shown.replace("%" + letter, line.get(letter, "").ljust(width[letter]))
        text += shown.rstrip() + "\n"
    return text


def table(titles: str, rows: list[tuple[str, ...]]) -> str:
    lines = [tuple(titles.split()), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "".join(" ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip() + "\n"
                   for line in lines)


def topology(made: Map, daemon: Multipathd) -> str:
    """One map as `multipath -ll` prints it."""
    name = made.alias if made.alias == made.wwid else f"{made.alias} ({made.wwid})"
    features = "1 queue_if_no_path" if made.queueing else "0"
    lines = [f"{name} {made.name} PURE,FlashArray", f"size={made.size / (1 << 30):.1f}G features='{features}' "
             "hwhandler='1 alua' wp=rw", "`-+- policy='service-time 0' prio=50 status=active"]
    for path in made.paths:
        state = "failed faulty" if path in daemon.failed else "active ready"
        lines.append(f"  |- {path.hctl} {path.name} {path.number} {state} running")
    return "\n".join(lines) + "\n"


def configuration(machine: Machine) -> str:
    """The part of `multipathd show config` that people look at."""
    settings = machine.settings
    return (f'defaults {{\n\tfind_multipaths "{settings.find_multipaths}"\n'
            f'\tuser_friendly_names "{"yes" if settings.user_friendly_names else "no"}"\n'
            f'\tno_path_retry "{settings.no_path_retry}"\n}}\n'
            'devices {\n\tdevice {\n\t\tvendor "PURE"\n\t\tproduct "FlashArray"\n\t\tpath_grouping_policy "group_by_prio"\n'
            '\t\thardware_handler "1 alua"\n\t}\n}\n')
