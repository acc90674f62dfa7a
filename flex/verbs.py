"""Every call kubelet may make, in one table: its arguments, what answers it, what people read about it.

The edge serves well-formed calls from here; click builds its commands from here too, so the two cannot drift. Each call
imports what it needs when it runs: `init` and calls that are not supported need next to nothing (design.md section 6).
"""

from flex import reply
from flex.reply import Reply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from flex.machine import Node
    from flex.request import MountRequest
    from flex.settings import Settings


LEFT_OVERS = 5.0        # seconds a call gives to what earlier calls left undone


class Verb:
    """One call. `answer` takes the settings and the arguments; `works`: it touches the node and is logged."""

    __slots__ = ("name", "arguments", "answer", "summary", "works", "attach_family")

    def __init__(self, name: str, arguments: tuple[str, ...], answer: "Callable[..., Reply]", summary: str, *,
                 works: bool = True, attach_family: bool = False) -> None:
        self.name = name
        self.arguments = arguments
        self.answer = answer
        self.summary = summary
        self.works = works
        self.attach_family = attach_family      # answered only under PURE_FLEX_ATTACH=true


def find(name: str, settings: "Settings") -> Verb | None:
    """The call of this name, None when this driver, as it is set up, has it not: by name alone, never by volume."""
    verb = TABLE.get(name)
    return None if verb is None or verb.attach_family and settings.attach_is_off else verb


def init(settings: "Settings") -> Reply:
    return reply.success(capabilities={
        "attach": settings.attach,
        "selinuxRelabel": True,
        "supportsMetrics": True,
        "fsGroup": True,
        "requiresFSResize": True,
    })


def mount(settings: "Settings", directory: str, options: str) -> Reply:
    node, wanted = _begin(settings, directory, options)
    if settings.attach:
        from flex import attachment
        attachment.mount(wanted, node)
        return reply.success(_details(node, wanted.mount_dir))
    return _mount(wanted, node)


def _mount(wanted: "MountRequest", node: "Node") -> Reply:
    if wanted.backend == "file":
        from flex import file
        file.mount(wanted, node)
    else:
        from flex import block
        block.mount(wanted, node)
    _finish_left_overs(node)
    return reply.success(_details(node, wanted.mount_dir))


def unmount(settings: "Settings", directory: str) -> Reply:
    from flex import paths, unmount
    from flex.machine import Node
    node = Node(settings.paths, settings)
    mount_dir = paths.directory(directory)
    details = _details(node, mount_dir)
    unmount.unmount(mount_dir, node)
    _finish_left_overs(node)
    return reply.success(details or "nothing was mounted")


def expandfs(settings: "Settings", options: str, device: str, directory: str, new_size: str, old_size: str) -> Reply:
    from flex import request
    node, wanted = _begin(settings, directory, options)
    sizes = request.size(new_size, "the new size"), request.size(old_size, "the old size")
    if wanted.backend == request.FILE:
        from flex import file
        file.grow(wanted, sizes[0], node)
    else:
        from flex import expand
        expand.grow(wanted, device, wanted.mount_dir, *sizes, node)
    return reply.success(_details(node, wanted.mount_dir))


# The attach family

def attach(settings: "Settings", options: str, node_name: str) -> Reply:
    from flex import attachment
    return reply.success(device=attachment.attach(settings, options, node_name))


def waitforattach(settings: "Settings", device: str, options: str) -> Reply:
    from flex import attachment
    return reply.success(device=attachment.wait_for_attach(settings, device, options))


def isattached(settings: "Settings", options: str, node_name: str) -> Reply:
    from flex import attachment
    return reply.success(attached=attachment.is_attached(settings, options, node_name))


def detach(settings: "Settings", name: str, node_name: str) -> Reply:
    from flex import attachment
    attachment.detach(settings, name, node_name)
    return reply.success(f"{name} from {node_name}")


def mountdevice(settings: "Settings", directory: str, device: str, options: str) -> Reply:
    del device              # what attach said; the device is found by the volume's serial
    node, wanted = _begin(settings, directory, options)
    return _mount(wanted, node)


TABLE = {verb.name: verb for verb in (
    Verb("init", (), init, "Say what this driver can do.", works=False),
    Verb("mount", ("DIRECTORY", "OPTIONS"), mount,
         "Connect the volume that OPTIONS (JSON) tell of, make its file system if it is blank, mount it on DIRECTORY."),
    Verb("unmount", ("DIRECTORY",), unmount,
         "Unmount DIRECTORY and give back all that its volume needed on this node and on the array."),
    Verb("expandfs", ("OPTIONS", "DEVICE", "DIRECTORY", "NEW_BYTES", "OLD_BYTES"), expandfs,
         "Grow the volume mounted on DIRECTORY, from the array to the file system; it never shrinks."),
    Verb("attach", ("OPTIONS", "NODE"), attach, "Connect the volume to a node on its array.", attach_family=True),
    Verb("waitforattach", ("DEVICE", "OPTIONS"), waitforattach, "Say which device an attached volume will be.",
         attach_family=True),
    Verb("isattached", ("OPTIONS", "NODE"), isattached, "Say whether the volume is connected to a node.",
         attach_family=True),
    Verb("detach", ("NAME", "NODE"), detach, "Disconnect a volume from a node on its array.", attach_family=True),
    Verb("mountdevice", ("DIRECTORY", "DEVICE", "OPTIONS"), mountdevice,
         "Make the volume's device and file system and mount it on DIRECTORY, for all pods of this node.",
         attach_family=True),
    Verb("unmountdevice", ("DIRECTORY",), unmount, "Undo mountdevice, down to the array.", attach_family=True),
)}


def _begin(settings: "Settings", directory: str, options: str) -> "tuple[Node, MountRequest]":
    """The node, and what is asked for; when the PV does not say what kind of volume it is, somebody who knows is asked."""
    from flex import request, resolve
    from flex.machine import Node
    node = Node(settings.paths, settings)
    return node, resolve.complete(request.parse(directory, options, settings), node)


def _finish_left_overs(node: "Node") -> None:
    """Try, once and briefly, what kubelet may never ask for again: an unmount that its array was away for (kubelet up to
    1.7 does not repeat it), a mount or unmount that was cut and whose pod is gone.

    What fails here is no failure of the call that was asked for.
    """
    from flex import state
    if any(map(state.is_left_over, state.records(node.paths))):
        from flex import detach
        from flex.wait import Deadline
        detach.finish_left_overs(node, Deadline(LEFT_OVERS))


def _details(node: "Node", mount_dir: str) -> str:
    """What the record of a directory says, for the log."""
    from flex import state
    record = state.known(node.paths, mount_dir)
    if record is None:
        return ""
    told = {name: value for name, value in record.fields().items()
            if name in ("pv", "volume", "array", "lun", "wwid", "source") and value not in ("", None)}
    return " ".join(f"{name}={value}" for name, value in told.items())
