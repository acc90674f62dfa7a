"""kubelet's JSON options become a MountRequest: checked once, here, with the option named in the complaint.

Keys of kubelet's own begin with "kubernetes.io/" (flexvolume-protocol.md section 2); the others are the PV's options
(design.md 3.3). A PV of the original driver has other options or none: its volume is <prefix>-<PV name> and `backend` stays
empty until the fleet was asked. After a restart kubelet rebuilds calls without any PV option.
"""

from arrays import names
from arrays.errors import ConfigError
from flex import jsontext
from flex.paths import directory
from flex.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flex.settings import Settings

KUBELET = "kubernetes.io/"
SECRET = KUBELET + "secret/"
FS_GROUPS = (KUBELET + "mounterArgs.FsGroup", KUBELET + "fsGroup")       # 1.15 and later; before

BLOCK = "block"
FILE = "file"

READ_WRITE_ONCE = ("ReadWriteOnce", "ReadWriteOncePod")


class MountRequest(Values):
    """What one `mount` asks for; defaults of the settings are filled in."""

    __slots__ = ("mount_dir", "pv", "volume", "backend", "array", "nfs", "fs_type", "read_only", "mount_options",
                 "create_options", "access", "prefix", "imported", "fs_group", "pod", "secrets")
    secret = ("secrets",)

    def __init__(self, mount_dir: str, pv: str, volume: str, backend: str = BLOCK, *, array: str = "", nfs: str = "",
                 fs_type: str = "xfs", read_only: bool = False, mount_options: "Sequence[str]" = (),
                 create_options: str = "-q", access: str = "ReadWriteOnce", prefix: str = "k8s", imported: bool = False,
                 fs_group: str = "", pod: str = "", secrets: "Mapping[str, str] | None" = None) -> None:
        self.mount_dir = mount_dir              # kubelet's directory, without a trailing slash
        self.pv = pv                            # name of the PV, or of the volume in the pod
        self.volume = volume                    # name on the array, "pod1::k8s-pvc-…" with a pod
        self.backend = backend                  # BLOCK, FILE, or "" when only the fleet knows
        self.array = array                      # endpoint when the volume was made: a hint; "" without one
        self.nfs = nfs                          # "192.0.2.7:/k8s-pvc-…", FILE only; "" when only the fleet knows
        self.fs_type = fs_type                  # BLOCK only
        self.read_only = read_only
        self.mount_options = tuple(mount_options)   # for block, the setting's stand in for a missing option
        self.create_options = create_options    # BLOCK only, as one would type them
        self.access = access
        self.prefix = prefix
        self.imported = imported                # the volume lacks our prefix: mounted as the PV says, never formatted
        self.fs_group = fs_group                # kubelet changes the owner itself
        self.pod = pod                          # "namespace/name", for the log
        self.secrets = dict(secrets or {})

    @property
    def single_host(self) -> bool:
        """Whether only one host at a time may have the volume."""
        return self.backend != FILE and self.access in READ_WRITE_ONCE


def parse(mount_dir: str, text: str, settings: "Settings") -> MountRequest:
    """Read the options of a call about `mount_dir`; ConfigError names what cannot be used, never a secret's value."""
    options = _options(text)
    prefix = _prefix(options.get("namespace", ""), settings)
    pv = options.get(KUBELET + "pvOrVolumeName") or directory(mount_dir).rpartition("/")[2]
    nfs = _export(options.get("nfs", ""))
    backend = _backend(options.get("backend", "")) or (FILE if nfs else "")
    volume = _volume(options.get("volume", "") or names.volume_name(prefix, _pv(pv)), backend)
    access = options.get("access", "") or "ReadWriteOnce"
    return MountRequest(
        mount_dir=directory(mount_dir),
        pv=pv,
        volume=volume,
        backend=backend,
        array=options.get("array", ""),
        nfs=nfs,
        fs_type=_fs_type(options.get(KUBELET + "fsType", ""), settings),
        read_only=options.get(KUBELET + "readwrite", "rw") == "ro" or access == "ReadOnlyMany",
        mount_options=_mount_options(options, backend, settings),
        create_options=_line(options, "createOptions", settings.create_options),
        access=access,
        prefix=prefix,
        imported=not names.is_ours(volume, prefix),
        fs_group=next((options[key] for key in FS_GROUPS if options.get(key)), ""),
        pod="/".join(options[key] for key in (KUBELET + "pod.namespace", KUBELET + "pod.name") if options.get(key)),
        secrets=_secrets(options),
    )


def size(text: str, what: str) -> int:
    """Bytes that kubelet wrote in decimal; 0 when it wrote nothing."""
    if text and not (text.isascii() and text.isdigit()):
        raise ConfigError(f"{what} {text!r} is not a number of bytes")
    return int(text or "0")


def _options(text: str) -> "Mapping[str, str]":
    """The JSON as texts by name. Numbers and flags count as their text: people write PVs by hand."""
    try:
        found = jsontext.parse_object(text)
    except ValueError as error:
        raise ConfigError(f"the options are no JSON object: {error}") from None
    options = {}
    for key, value in found.items():
        if value is None or isinstance(value, (dict, list)):
            raise ConfigError(f"option {key}: a text is needed")
        options[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return options


def _prefix(text: str, settings: "Settings") -> str:
    try:
        return names.check_prefix(text) if text else settings.prefix
    except ConfigError as error:
        raise ConfigError(f"option namespace: {error}" if text else str(error)) from None


def _pv(name: str) -> str:
    if not name or "/" in name:
        raise ConfigError(f"option {KUBELET}pvOrVolumeName: {name!r} is no name of a volume")
    return name


def _backend(text: str) -> str:
    if text.lower() not in ("", BLOCK, FILE):
        raise ConfigError(f"option backend: {text!r} is neither {BLOCK} nor {FILE}")
    return text.lower()


def _volume(name: str, backend: str) -> str:
    try:
        return names.check_file_system_name(name) if backend == FILE else names.check_volume_name(name)
    except ConfigError as error:
        raise ConfigError(f"option volume: {error}") from None


def _export(text: str) -> str:
    """"server:/path", as it will stand in mount's command line."""
    if text and (text.startswith("-") or not text.isprintable() or " " in text):
        raise ConfigError(f"option nfs: {text!r} is no NFS export: write server:/path")
    try:
        return ":".join(names.split_export(text)) if text else ""
    except ConfigError as error:
        raise ConfigError(f"option nfs: {error}") from None


def _fs_type(text: str, settings: "Settings") -> str:
    chosen = text.lower() or settings.fs_type
    if not chosen.isascii() or not chosen.isalnum():
        raise ConfigError(f"{KUBELET}fsType: {chosen!r} is no type of file system")
    return chosen


def _mount_options(options: "Mapping[str, str]", backend: str, settings: "Settings") -> tuple[str, ...]:
    """The PV's own replace the default ones; `ro` comes from elsewhere."""
    if "mountOptions" not in options:
        return () if backend == FILE else settings.mount_options
    return tuple(word for word in _line(options, "mountOptions", "").replace(",", " ").split())


def _line(options: "Mapping[str, str]", key: str, default: str) -> str:
    text = options.get(key, default)
    if not text.isprintable():
        raise ConfigError(f"option {key}: line breaks and control characters are not allowed")
    return text


def _secrets(options: "Mapping[str, str]") -> dict[str, str]:
    """Secrets of the PV's secretRef, decoded; a complaint names the key only."""
    coded = {key.removeprefix(SECRET): value for key, value in options.items() if key.startswith(SECRET)}
    return {key: _decoded(key, value) for key, value in coded.items()}


def _decoded(key: str, value: str) -> str:
    from base64 import b64decode
    try:
        return b64decode(value, validate=True).decode("utf-8", "surrogateescape")
    except ValueError:
        raise ConfigError(f"{SECRET}{key} is not in standard base64") from None
