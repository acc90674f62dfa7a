"""What can go wrong on a node, in the words of whoever reads `kubectl describe pod`; the tree's root is arrays.errors.

    PureError
    ├─ NodeLacks        a program, a daemon or a setting this node needs; says what to install or write
    ├─ NotTheVolume     a device, LUN or file system is not what it has to be: nothing was mounted
    ├─ WillNotFormat    the device is not provably blank, or formatting is not ours to decide
    ├─ HeldElsewhere    another host holds a ReadWriteOnce volume
    └─ RecordLost       what an earlier call wrote down about a directory cannot be read
"""

from arrays.errors import PureError


class _Told(PureError):
    """A failure whose `message` is its whole story."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class NodeLacks(_Told):
    """This node cannot do it as it is set up; `message` says what to install, start or write."""

    retry = True                # somebody may be installing it just now


class NotTheVolume(_Told):
    """What was found is not what was asked for; `message` names both. Nothing was written or mounted."""

    retry = True                # the next call looks afresh


class WillNotFormat(_Told):
    """The device holds no file system and must not get one; `message` says why and what to do."""


class HeldElsewhere(_Told):
    """Another host is connected to a ReadWriteOnce volume; `message` names volume, host and seconds."""

    retry = True                # that host may let go


class RecordLost(PureError):
    """A file of the driver's is there and cannot be read: what it stood for may still be connected to this node."""

    retry = True                # the disk may be mended

    def __init__(self, file: str, why: str) -> None:
        super().__init__(file, why)
        self.file = file
        self.why = why

    def __str__(self) -> str:
        return (f"the driver's record {self.file} cannot be read ({self.why}), and only it tells what is to be given back: "
                "disconnect the volume of the PV in its name from this node on its array, then remove the file")
