"""A name server of a few lines, for nodes whose resolv.conf names one: A records over UDP, RFC 1035."""

import socket
import struct
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

ADDRESS = "127.0.0.99"          # port 53 of an address that no resolver of the machine has
_ANSWER, _NO_SUCH_NAME, _A, _IN = 0x8580, 0x8583, 1, 1


class NameServer:
    """Answers for `names` (name -> IPv4 address) while it is entered; `asked` are the names it was asked for."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.address, self.asked = ADDRESS, set[str]()
        self._names = names
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._socket.bind((ADDRESS, 53))
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", (ADDRESS, 53))     # the last question
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(512)
            if not question:
                return
            self._socket.sendto(self._answer(question), client)

    def _answer(self, message: bytes) -> bytes:
        name, end = _name(message)
        self.asked.add(name)
        [kind] = struct.unpack("!H", message[end:end + 2])
        asked = message[12:end + 4]
        if name not in self._names:
            return message[:2] + struct.pack("!5H", _NO_SUCH_NAME, 1, 0, 0, 0) + asked
        if kind != _A:                                  # AAAA: the name is there, such a record is not
            return message[:2] + struct.pack("!5H", _ANSWER, 1, 0, 0, 0) + asked
        record = struct.pack("!3HIH", 0xC00C, _A, _IN, 60, 4) + socket.inet_aton(self._names[name])
        return message[:2] + struct.pack("!5H", _ANSWER, 1, 1, 0, 0) + asked + record


def _name(message: bytes) -> tuple[str, int]:
    """The name in question, and where it ends."""
    labels, place = [], 12
    while message[place]:
        labels.append(message[place + 1:place + 1 + message[place]].decode())
        place += 1 + message[place]
    return ".".join(labels), place + 1
