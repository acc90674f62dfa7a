"""iscsiadm(8) of a pretend node, statuses as in node-attach.md 2.11. iscsid is in here too: it goes on with a login
whose iscsiadm was killed, and answers 15 while it is still trying."""

import contextlib
import getopt

from simulator.node.arrays import SILENT, Arrays
from simulator.node.call import Call, ToolFails
from simulator.node.machine import Machine
from simulator.node.records import Record, Records
from simulator.node.sessions import Session, Sessions

NOT_FOUND, DATABASE, INVALID, TIMED_OUT, PDU_TIMED_OUT = 21, 6, 7, 8, 11
EXISTS, NO_ISCSID, NOT_AUTHORISED = 15, 20, 24
REASONS = {TIMED_OUT: "connection timed out", EXISTS: "session exists", NOT_AUTHORISED: "iSCSI login failed due to "
           "authorization failure", NO_ISCSID: "could not connect to iscsid", NOT_FOUND: "no records found"}

# Setting of a node record -> what the array calls it (features.md; "host" is the initiator's side).
CHAP = {"username": "host_user", "password": "host_password",
        "username_in": "target_user", "password_in": "target_password"}

LONG = ["mode=", "targetname=", "portal=", "op=", "name=", "value=", "type=", "sid=", "login", "logout", "rescan",
        "interface=", "loginall=", "logoutall=", "print=", "debug=", "show", "stats", "version", "no_wait", "login_rd"]
SHORT = {"m": "mode", "T": "targetname", "p": "portal", "o": "op", "n": "name", "v": "value", "t": "type", "r": "sid",
         "l": "login", "u": "logout", "R": "rescan", "I": "interface", "L": "loginall", "U": "logoutall", "P": "print",
         "d": "debug", "S": "show", "s": "stats", "V": "version", "W": "no_wait"}


class Iscsiadm:
    """The tool; one instance a node."""

    def __init__(self, machine: Machine, arrays: Arrays, sessions: Sessions, records: Records) -> None:
        self._machine, self._arrays, self._sessions, self._records = machine, arrays, sessions, records

    def run(self, call: Call) -> int:
        options, pairs = parse(call.argv[1:])
        mode = options.get("mode", "")
        modes = {"node": self._node, "session": self._session, "discovery": self._discovery,
                 "discoverydb": self._discovery, "iface": self._iface, "host": self._host}
        if "version" in options:
            call.say("iscsiadm version 2.1.8")
            return 0
        if mode not in modes:
            raise ToolFails(INVALID, f"iscsiadm: Invalid or missing mode {mode!r}")
        return modes[mode](call, options, pairs)

    # -- iscsiadm -m node

    def _node(self, call: Call, options: dict[str, str], pairs: list[tuple[str, str]]) -> int:
        faults = self._machine.faults
        if faults.database_busy:
            faults.database_busy -= 1
            raise ToolFails(DATABASE, "iscsiadm: Could not lock the database: maybe another iscsiadm is running")
        if "loginall" in options or "logoutall" in options:
            return self._all_automatic(call, options)
        portal, tag = parse_portal(options.get("portal"))
        target = options.get("targetname")
        if options.get("op") == "new":
            return self._new(call, target, portal, tag)
        found = self._records.matching(target, portal)
        if not found:
            raise ToolFails(NOT_FOUND, "iscsiadm: No records found")
        if "op" in options and options["op"] != "show":
            return self._change(options["op"], found, pairs)
        if "login" in options:
            return self._login(call, found)
        if "logout" in options:
            return self._logout(call, [session for record in found
                                       if (session := self._sessions.find(record.target, record.portal))])
        if "rescan" in options:
            return self._rescan(call, [session for record in found
                                       if (session := self._sessions.find(record.target, record.portal))])
        return self._list(call, found, full=bool(target or portal))

    def _new(self, call: Call, target: str | None, portal: str | None, tag: str | None) -> int:
        if not target or not portal:
            raise ToolFails(INVALID, "iscsiadm: --op=new needs --targetname and --portal")
        self._records.new(target, portal, tag)
        call.say(f"New iSCSI node [tcp:[hw=,ip=,net_if=,iscsi_if=default] {portal.replace(':3260', ',3260')},"
                 f"{tag or -1} {target}] added")
        return 0

    def _change(self, op: str, found: list[Record], pairs: list[tuple[str, str]]) -> int:
        if op == "delete":
            for record in found:
                if self._sessions.find(record.target, record.portal):
                    raise ToolFails(EXISTS, "iscsiadm: This command will remove the record, but a session is using it. "
                                    "Logout session then rerun command to remove record.")
                self._records.delete(record)
            return 0
        if op != "update":
            raise ToolFails(INVALID, f"iscsiadm: Invalid operation {op!r}")
        if not pairs:
            raise ToolFails(INVALID, "iscsiadm: Update requires name and value")
        for record in found:
            values = self._records.read(record)
            for name, value in pairs:
                if name not in values and not name.startswith("node.session.auth."):
                    raise ToolFails(INVALID, f"iscsiadm: Unknown parameter {name!r}")
                values[name] = value
            self._records.write(record, values)
        return 0

    def _list(self, call: Call, found: list[Record], full: bool) -> int:
        for record in found:
            if not full:
                call.say(f"{record.portal},{record.tag} {record.target}")
                continue
            call.say("# BEGIN RECORD 2.1.8")
            for name, value in self._records.read(record).items():
                call.say(f"{name} = {'********' if 'password' in name else value}")
            call.say("# END RECORD")
        return 0

    def _all_automatic(self, call: Call, options: dict[str, str]) -> int:
        which = options.get("loginall") or options.get("logoutall")
        found = [record for record in self._records.all()
                 if which == "all" or self._records.read(record)["node.startup"] == which]
        if "loginall" in options:
            return self._login(call, [record for record in found
                                      if not self._sessions.find(record.target, record.portal)])
        return self._logout(call, [session for record in found
                                   if (session := self._sessions.find(record.target, record.portal))])

    # -- login

    def _login(self, call: Call, found: list[Record]) -> int:
        """Log in to each portal; the last error is the status, also when others went well (node-attach.md 2.11)."""
        if self._machine.settings.iscsid != "running":
            raise ToolFails(NO_ISCSID, "iscsiadm: can not connect to iSCSI daemon (111)!")
        outcomes: dict[str, int] = {}
        for record in found:
            call.say(f"Logging in to [iface: default, target: {record.target}, portal: {comma(record.portal)}]")
            self._begin_login(record, outcomes)
        self._machine.wait(lambda: call.killed() or len(outcomes) == len(found), None)
        worst = 0
        for record in found:
            status = outcomes.get(record.portal, 0)
            place = f"[iface: default, target: {record.target}, portal: {comma(record.portal)}]"
            if status:
                worst = status
                call.complain(f"iscsiadm: Could not login to {place}.")
                call.complain(f"iscsiadm: initiator reported error ({status} - {REASONS[status]})")
            else:
                call.say(f"Login to {place} successful.")
        if worst:
            call.complain("iscsiadm: Could not log into all portals")
        return worst

    def _begin_login(self, record: Record, outcomes: dict[str, int]) -> None:
        key, values = (record.target, record.portal), self._records.read(record)
        if self._sessions.find(*key) or key in self._sessions.pending:
            outcomes[record.portal] = EXISTS
            return
        self._sessions.pending.add(key)

        def done() -> None:
            self._sessions.pending.discard(key)
            status = self._try_login(record, values)
            if record.portal not in self._machine.faults.login_hangs:
                outcomes[record.portal] = status

        self._machine.later(self._duration(record, values), done)

    def _duration(self, record: Record, values: dict[str, str]) -> float:
        """How long iscsid takes: no answer and refusal are both tried again and again (fact 4)."""
        if slow := self._machine.faults.login_slow.get(record.portal):
            return slow
        if self._arrays.portals(record.target).get(record.portal) == "up":
            return 0.05
        timeout = float(values["node.conn[0].timeo.login_timeout"])
        return timeout * int(values["node.session.initial_login_retry_max"]) + 2

    def _try_login(self, record: Record, values: dict[str, str]) -> int:
        self._arrays.refresh()
        if self._arrays.portals(record.target).get(record.portal) != "up":
            return TIMED_OUT
        if self._refused(record.target, values):
            return NOT_AUTHORISED
        self._sessions.open(record.target, record.portal, values)
        with contextlib.suppress(*SILENT):
            self._machine.fabric.login(self._machine.iqn, record.portal)
        return 0

    def _refused(self, target: str, values: dict[str, str]) -> bool:
        if not self._arrays.units(self._machine.iqn, target) and self._machine.settings.unknown_initiator == "refused":
            return True
        if not (asked := self._machine.fabric.chap(self._machine.iqn, target)) or target in self._arrays.foreign:
            return False
        auth = "node.session.auth."
        return values[auth + "authmethod"] != "CHAP" or any(
            values.get(auth + mine) != asked.get(theirs) for mine, theirs in CHAP.items() if asked.get(theirs))

    # -- logout, rescan, sessions

    def _logout(self, call: Call, sessions: list[Session]) -> int:
        if not sessions:
            raise ToolFails(NOT_FOUND, "iscsiadm: No matching sessions found")
        if self._machine.settings.iscsid != "running":
            raise ToolFails(NO_ISCSID, "iscsiadm: can not connect to iSCSI daemon (111)!")
        for session in sessions:
            place = f"[sid: {session.number}, target: {session.target}, portal: {comma(session.portal)}]"
            call.say(f"Logging out of session {place}")
            self._sessions.close(session)
            with contextlib.suppress(*SILENT):
                self._machine.fabric.logout(self._machine.iqn, session.portal)
            call.say(f"Logout of {place} successful.")
        return 0

    def _rescan(self, call: Call, sessions: list[Session]) -> int:
        """What `-R` does: every LUN of the target appears, sizes are read anew, nothing is removed."""
        if not sessions:
            raise ToolFails(NOT_FOUND, "iscsiadm: No session found.")
        for session in sessions:
            call.say(f"Rescanning session [sid: {session.number}, target: {session.target}, "
                     f"portal: {comma(session.portal)}]")
            self._sessions.rescan(session)
        return 0

    def _session(self, call: Call, options: dict[str, str], pairs: list[tuple[str, str]]) -> int:
        sessions = [session for session in self._sessions.all.values()
                    if options.get("sid", str(session.number)).rpartition("session")[2] == str(session.number)]
        if not sessions:
            raise ToolFails(NOT_FOUND, "iscsiadm: No active sessions.")
        if "logout" in options:
            return self._logout(call, sessions)
        if "rescan" in options:
            return self._rescan(call, sessions)
        for session in sessions:
            call.say(f"tcp: [{session.number}] {session.portal},1 {session.target} (non-flash)")
        return 0

    def _host(self, call: Call, options: dict[str, str], pairs: list[tuple[str, str]]) -> int:
        if not self._sessions.all:
            raise ToolFails(NOT_FOUND, "iscsiadm: No hosts found.")
        for session in self._sessions.all.values():
            call.say(f"tcp: [{session.host.number}] 198.51.100.10,[<empty>],<empty> <empty>")
        return 0

    def _iface(self, call: Call, options: dict[str, str], pairs: list[tuple[str, str]]) -> int:
        call.say("default tcp,<empty>,<empty>,<empty>,<empty>")
        call.say("iser iser,<empty>,<empty>,<empty>,<empty>")
        return 0

    # -- discovery

    def _discovery(self, call: Call, options: dict[str, str], pairs: list[tuple[str, str]]) -> int:
        """sendtargets: makes records for every portal of the target, and resets those that were there (fact 3)."""
        if options.get("type") not in ("st", "sendtargets") or "portal" not in options:
            raise ToolFails(INVALID, "iscsiadm: discovery needs --type sendtargets and --portal")
        portal, _ = parse_portal(options["portal"])
        rows = self._machine.fabric.discover(portal or "")
        if not rows:
            self._machine.wait(call.killed, 5.0)
            raise ToolFails(PDU_TIMED_OUT, f"iscsiadm: cannot make connection to {portal}: Connection refused\n"
                            "iscsiadm: connection login retries (reopen_max) 5 exceeded\n"
                            "iscsiadm: Could not perform SendTargets discovery: iSCSI PDU timed out")
        found = [self._records.new(row["target"], row["portal"], "1") for row in rows]
        for record in found:
            call.say(f"{record.portal},1 {record.target}")
        if "login" in options:
            return self._login(call, found)
        return 0


def parse(argv: list[str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Read iscsiadm's arguments -> options by long name, and the -n/-v pairs in order."""
    short = "".join(letter + (":" if f"{name}=" in LONG else "") for letter, name in SHORT.items())
    try:
        # -r alone means "some session": getopt(3) takes `r:` there too, with the next word.
        found, rest = getopt.gnu_getopt(argv, short, LONG)
    except getopt.GetoptError as error:
        raise ToolFails(INVALID, f"iscsiadm: {error}") from None
    if rest:
        raise ToolFails(INVALID, f"iscsiadm: unexpected {rest[0]!r}")
    options: dict[str, str] = {}
    names: list[str] = []
    values: list[str] = []
    for flag, value in found:
        name = SHORT[flag[1]] if len(flag) == 2 else flag[2:]
        (names if name == "name" else values if name == "value" else []).append(value)
        options[name] = value
    if len(names) != len(values) and options.get("op") == "update":
        raise ToolFails(INVALID, "iscsiadm: each --name needs a --value")
    return options, list(zip(names, values, strict=False))


def parse_portal(text: str | None) -> tuple[str | None, str | None]:
    """"192.0.2.11", "192.0.2.11:3260,1", "[2001:db8::1]:3260" -> ("address:port", tag)."""
    if text is None:
        return None, None
    text, _, tag = text.partition(",")
    bare = text.rpartition("]")[2] if text.startswith("[") else text
    if ":" not in bare:
        text += ":3260"
    return text, tag or None


def comma(portal: str) -> str:
    """"192.0.2.11:3260" -> "192.0.2.11,3260", as iscsiadm prints it."""
    address, _, port = portal.rpartition(":")
    return f"{address},{port}"
