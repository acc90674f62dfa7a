"""What the installer set: environment variables, else `.settings.json` beside the executable, else the chart's defaults.

kubelet gives the driver no environment, so the daemon writes the file; the environment wins so that a person can try things
by hand. Values are looked at when they are asked for: a wrong one breaks the calls that need it, never `init`.
"""

import posix                # see cli.py
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from arrays.errors import ConfigError
    from flex.paths import Paths

FILE = ".settings.json"
FLEET = ".pure.json"
RUNTIME = ".flex-rt-"           # the bundle keeps the interpreter one folder below the executable

DEFAULTS = {
    "PURE_FLASHARRAY_SAN_TYPE": "ISCSI",
    "PURE_K8S_NAMESPACE": "k8s",
    "PURE_DEFAULT_BLOCK_FS_TYPE": "xfs",
    "PURE_DEFAULT_BLOCK_FS_OPT": "-q",
    "PURE_DEFAULT_BLOCK_MNT_OPT": "",
    "PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT": "true",
    "PURE_ISCSI_ALLOWED_CIDRS": "",
    "PURE_ISCSI_LOGIN_TIMEOUT": "20sec",
    "PURE_PREEMPT_RWO_GRACE": "60",
    "PURE_UNMOUNT_NO_PATH_GRACE": "600",
    "PURE_FLEX_ATTACH": "false",
    "PURE_FLEX_DEBUG": "false",
    "PURE_FLEX_ROOT": "/",
    "PURE_DISCOVERY_CONF": "",
}

_YES = ("true", "yes", "on", "1")
_NO = ("false", "no", "off", "0")


class Settings:
    """Settings of one call-out; each property checks its value and raises ConfigError naming the variable."""

    def __init__(self, values: "Mapping[str, str]", home: str = "/", complaint: str = "",
                 environment: "Mapping[str, str] | None" = None) -> None:
        self._values = values
        self._complaint = complaint     # why the file could not be read; said as soon as the file would have been needed
        self.home = home                # folder of the executable
        self.environment = environment or {}    # where pure.json's {"env": NAME} tokens are looked up

    # The storage ----------------------------------------------------------------------------------------------------

    @property
    def san_type(self) -> str:
        """ "ISCSI" or "FC"."""
        text = self._text("PURE_FLASHARRAY_SAN_TYPE").upper()
        if text not in ("ISCSI", "FC"):
            raise _wrong(f"PURE_FLASHARRAY_SAN_TYPE={text!r}: write ISCSI or FC (flasharray.sanType)")
        return text

    @property
    def prefix(self) -> str:
        """What the names of our volumes begin with: namespace.pure."""
        from arrays.names import check_prefix
        return check_prefix(self._text("PURE_K8S_NAMESPACE"))

    @property
    def allowed_cidrs(self) -> tuple[str, ...]:
        """Networks whose iSCSI portals may be used; none means all."""
        return tuple(self._words("PURE_ISCSI_ALLOWED_CIDRS"))

    @property
    def login_timeout(self) -> float:
        """Seconds for the login at one portal."""
        return self._seconds("PURE_ISCSI_LOGIN_TIMEOUT")

    @property
    def preempt(self) -> bool:
        """Whether a ReadWriteOnce volume may be taken from a host that is silent."""
        return self._flag("PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT")

    @property
    def preempt_grace(self) -> float:
        """Seconds a volume's other host gets to let go before it is preempted."""
        return self._seconds("PURE_PREEMPT_RWO_GRACE")

    @property
    def no_path_grace(self) -> float:
        """Seconds an unmount waits, over its repeats, for lost paths of a device with unsaved data."""
        return self._seconds("PURE_UNMOUNT_NO_PATH_GRACE")

    # The file system --------------------------------------------------------------------------------------------------

    @property
    def fs_type(self) -> str:
        return self._text("PURE_DEFAULT_BLOCK_FS_TYPE").lower()

    @property
    def create_options(self) -> str:
        """mkfs options, as one would type them."""
        return self._text("PURE_DEFAULT_BLOCK_FS_OPT")

    @property
    def mount_options(self) -> tuple[str, ...]:
        return tuple(self._words("PURE_DEFAULT_BLOCK_MNT_OPT"))

    # The driver -------------------------------------------------------------------------------------------------------

    @property
    def attach(self) -> bool:
        """Whether the attach family is answered. False when it cannot be read: `init` must work whatever happens."""
        return self._flag_or("PURE_FLEX_ATTACH", False)

    @property
    def attach_is_off(self) -> bool:
        """Whether the attach family is not wanted for sure. A slip in the settings is mended; "Not supported" is kept."""
        return not self._flag_or("PURE_FLEX_ATTACH", True)

    @property
    def debug(self) -> bool:
        return self._flag_or("PURE_FLEX_DEBUG", True)

    @property
    def paths(self) -> "Paths":
        """Where the machine is; only the environment can move it."""
        from flex.paths import Paths
        return Paths(self._values.get("PURE_FLEX_ROOT") or "/")

    @property
    def fleet_file(self) -> str:
        """pure.json: what PURE_DISCOVERY_CONF names, else beside the executable, else in /etc/pure."""
        named = self._values.get("PURE_DISCOVERY_CONF")
        if named:
            return named
        beside = f"{self.home}/{FLEET}"
        return beside if posix.access(beside, posix.F_OK) else self.paths.fleet

    # Reading one value ------------------------------------------------------------------------------------------------

    def _text(self, name: str) -> str:
        if name in self._values:
            return self._values[name].strip()
        if self._complaint:
            raise _wrong(self._complaint)
        return DEFAULTS[name]

    def _flag(self, name: str) -> bool:
        text = self._text(name).lower()
        if text not in _YES + _NO:
            raise _wrong(f"{name}={text!r}: write true or false")
        return text in _YES

    def _flag_or(self, name: str, unreadable: bool) -> bool:
        """A flag that every call needs: one that cannot be read must not break those that need nothing else."""
        text = self._values.get(name, "" if self._complaint else DEFAULTS[name]).strip().lower()
        return text in _YES if text in _YES + _NO else unreadable

    def _seconds(self, name: str) -> float:
        """Read "20", "20s", "20sec", "1.5"."""
        text = self._text(name).lower()
        number = text.removesuffix("ec").removesuffix("s").rstrip()
        try:
            seconds = float(number)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < 1e7:
            raise _wrong(f"{name}={text!r}: write seconds, like 20 or 20sec")
        return seconds

    def _words(self, name: str) -> list[str]:
        """Read "a,b", "a, b" or "a b"."""
        return self._text(name).replace(",", " ").split()


def read(executable: str, environment: "Mapping[str, str] | None" = None) -> Settings:
    """Settings for the driver started as `executable`: the file beside it, overridden by the environment."""
    home = _home(executable)
    variables = _environment() if environment is None else environment
    given = {name: variables[name] for name in DEFAULTS if name in variables}
    try:
        written = _written(f"{home}/{FILE}")
    except (OSError, ValueError) as error:
        return Settings(given, home, f"{home}/{FILE} cannot be used: {error}; the pure-flex DaemonSet pod of this node "
                        "writes it", variables)
    written.pop("PURE_FLEX_ROOT", None)
    return Settings({**written, **given}, home, environment=variables)


def _wrong(message: str) -> "ConfigError":
    from arrays.errors import ConfigError
    return ConfigError(message)


def _written(file: str) -> dict[str, str]:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as opened:
            text = opened.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    from flex import jsontext
    return {name: _as_text(value) for name, value in jsontext.parse_object(text).items() if name in DEFAULTS}


def _as_text(value: object) -> str:
    """Settings are texts; a person may have written true, 20 or a list."""
    if isinstance(value, list):
        return ",".join(_as_text(element) for element in value)
    return str(value)


def _home(executable: str) -> str:
    """The folder kubelet knows. In the bundle Python runs a script one folder below it."""
    folder = executable.rpartition("/")[0] if "/" in executable else "."
    if not executable.startswith("/"):
        folder = f"{posix.getcwd()}/{folder}"
    above, _, name = folder.rpartition("/")
    return above if name.startswith(RUNTIME) else folder


def _environment() -> dict[str, str]:
    """This process's environment as text."""
    if "os" in sys.modules:             # a program that runs us may have changed it there
        from os import environ
        return dict(environ)
    return {name.decode("utf-8", "surrogateescape"): value.decode("utf-8", "surrogateescape")
            for name, value in posix.environ.items()}
