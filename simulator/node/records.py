"""iscsiadm's node records: /etc/iscsi/nodes/<target>/<ip>,<port>, or …,<tag>/default when discovery made them.

The files are the state: they survive a reboot, and a person may look at them.
"""

import os
import shutil
from dataclasses import dataclass

from simulator.node.settings import Settings
from simulator.node.tree import Tree

NODES = "/etc/iscsi/nodes"


@dataclass(frozen=True)
class Record:
    """Where one record is kept."""

    target: str
    portal: str                 # "192.0.2.11:3260"
    file: str

    @property
    def tag(self) -> str:
        return "1" if self.file.endswith("/default") else "-1"


def defaults(target: str, portal: str, settings: Settings, tag: str = "-1") -> dict[str, str]:
    """A new record: what iscsid.conf says, whatever an older record said."""
    address, _, port = portal.rpartition(":")
    return {
        "node.name": target, "node.tpgt": tag, "node.startup": "manual", "node.leading_login": "No",
        "iface.iscsi_ifacename": "default", "iface.transport_name": "tcp",
        "node.session.scan": settings.scan,
        "node.session.initial_login_retry_max": str(settings.initial_login_retry_max),
        "node.session.auth.authmethod": "None",
        "node.session.timeo.replacement_timeout": f"{settings.replacement_timeout:g}",
        "node.session.err_timeo.abort_timeout": "15", "node.session.nr_sessions": "1",
        "node.conn[0].address": address.strip("[]"), "node.conn[0].port": port,
        "node.conn[0].startup": "manual",
        "node.conn[0].timeo.login_timeout": f"{settings.login_timeout:g}",
        "node.conn[0].timeo.noop_out_interval": "5", "node.conn[0].timeo.noop_out_timeout": "5",
    }


class Records:
    """The record database of one node."""

    def __init__(self, tree: Tree, settings: Settings) -> None:
        self._tree, self._settings = tree, settings

    def all(self) -> list[Record]:
        found = []
        for target in self._names(NODES):
            for name in self._names(f"{NODES}/{target}"):
                address, port, *_ = name.split(",")
                file = f"{NODES}/{target}/{name}"
                if os.path.isdir(self._tree.at(file)):
                    file += "/default"
                shown = f"[{address}]" if ":" in address else address
                found.append(Record(target, f"{shown}:{port}", file))
        return found

    def _names(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(self._tree.at(path)))
        except FileNotFoundError:
            return []

    def matching(self, target: str | None, portal: str | None) -> list[Record]:
        return [record for record in self.all()
                if target in (None, record.target) and portal in (None, record.portal)]

    def new(self, target: str, portal: str, tag: str | None = None) -> Record:
        """Make a record, or make an existing one new: its settings are the defaults again (fact 3)."""
        for record in self.matching(target, portal):
            self.delete(record)
        address, _, port = portal.rpartition(":")
        name = f"{NODES}/{target}/{address.strip('[]')},{port}"
        file = f"{name},{tag}/default" if tag else name
        os.makedirs(os.path.dirname(self._tree.at(file)), exist_ok=True)
        record = Record(target, portal, file)
        self.write(record, defaults(target, portal, self._settings, tag or "-1"))
        return record

    def read(self, record: Record) -> dict[str, str]:
        lines = self._tree.read(record.file).splitlines()
        return dict(line.split(" = ", 1) for line in lines if " = " in line)

    def write(self, record: Record, values: dict[str, str]) -> None:
        lines = "".join(f"{name} = {value}\n" for name, value in values.items())
        self._tree.write(record.file, f"# BEGIN RECORD 2.1.8\n{lines}# END RECORD\n", 0o600)

    def delete(self, record: Record) -> None:
        path = record.file.removesuffix("/default")
        if os.path.isdir(self._tree.at(path)):
            shutil.rmtree(self._tree.at(path))
        else:
            os.unlink(self._tree.at(path))
        if not self._names(f"{NODES}/{record.target}"):
            os.rmdir(self._tree.at(f"{NODES}/{record.target}"))
