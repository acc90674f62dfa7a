"""What can be set on a pretend array, at start and while it runs.

Each field whose true value no public source settles (array-rest.md section 9, or "unverified" there) says so: a
client should work with every setting of it.
"""

from dataclasses import dataclass, field

DAY = 86400.0
FLASH_ARRAY_VERSIONS = tuple(f"1.{minor}" for minor in range(20))
FLASH_BLADE_VERSIONS = tuple(f"1.{minor}" for minor in range(13))


@dataclass
class FlashArraySwitches:
    """Behaviour of one FlashArray; assign while it runs to imitate an upgrade or another release."""

    versions: tuple[str, ...] = FLASH_ARRAY_VERSIONS    # REST versions offered; others answer 450
    purity: str = "5.3.10"                              # what `GET array` says
    cookie_on_every_reply: bool = True                  # unverified; False: only at login, as a stricter reading
    session_seconds: float = 1800.0                     # life of a session on the array's clock
    session_life_is_idle: bool = True                   # unverified; False: counted from the login
    error_is_list: bool = True                          # False: a bare object with pure_err_key, as some releases
    round_up_small: bool = True                         # unverified; volumes below 1 MiB: True rounds up, False refuses
    pending_seconds: float = DAY                        # how long destroyed objects can be recovered (6.x: 1-30 days)
    safe_mode: bool = False                             # True: eradication is refused
    volume_limit: int | None = None                     # objects, destroyed ones counted
    snapshot_limit: int | None = None
    host_limit: int | None = None
    connection_limit: int | None = None                 # per host
    full_refuses: bool = True                           # unverified; no new volume while used >= capacity
    pending_name_says_destroyed: bool = False           # unverified; True: "has been destroyed", False: "already exists"
    old_disconnect_text: bool = False                   # True: "is not connected" of older Purity
    shared_luns_from_10: bool = False                   # Purity 3.x: shared LUNs from 10 up instead of 254 down
    space_is_list: bool = True                          # `array?space=true`: False answers an object (old Purity)
    used_follows_writes: bool = False                   # add what the data plane allocated to `used`
    recover_restores_snapshots: bool = True             # unverified; snapshots destroyed with their volume come back
    unknown_name_fails: bool = True                     # unverified; exact unknown name in `names=`: 400, else skipped
    iqn_ignores_case: bool = False                      # unverified
    pods: bool = True                                   # from REST 1.13


@dataclass
class FlashBladeSwitches:
    """Behaviour of one FlashBlade."""

    versions: tuple[str, ...] = FLASH_BLADE_VERSIONS
    purity: str = "3.2.0"
    session_seconds: float = 1800.0
    session_life_is_idle: bool = True
    expired_status: int = 401                           # or 403: clients have seen both
    pending_seconds: float = DAY                        # unverified for 1.x
    destroy_needs_protocols_off: bool = True            # unverified as a hard error
    unknown_field_fails: bool = True                    # unverified; a field newer than the request's version: 400
    pending_name_reserved: bool = True                  # unverified
    page_size: int = 1000                               # the server's own cap of one page
    default_rules: str = "*(rw,no_root_squash)"         # of a file system made without rules
    file_system_limit: int | None = None
    services: tuple[str, ...] = field(default=("data", "management"))
