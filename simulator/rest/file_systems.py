"""`file-systems` and `file-system-snapshots` of FlashBlade REST 1.x; which field came when is in _SINCE."""

from collections.abc import Mapping, Sequence
from typing import Any

from simulator.refusal import Refusal
from simulator.rest.blade_lists import BladeCall, Row, listing, space_row
from simulator.state.blade import BladeState, FileSystem, FileSystemSnapshot
from simulator.switches import FlashBladeSwitches

# Field as sent -> (attribute of FileSystem, REST version, type). "nfs.enabled" is v3 under its old name.
_FIELDS: dict[str, tuple[str, tuple[int, int], type]] = {
    "provisioned": ("size", (1, 0), int),
    "hard_limit_enabled": ("hard_limit", (1, 4), bool),
    "fast_remove_directory_enabled": ("fast_remove", (1, 0), bool),
    "snapshot_directory_enabled": ("snapshot_directory", (1, 0), bool),
    "nfs.enabled": ("v3", (1, 0), bool),
    "nfs.v3_enabled": ("v3", (1, 6), bool),
    "nfs.v4_1_enabled": ("v4_1", (1, 6), bool),
    "nfs.rules": ("rules", (1, 0), str),
    "smb.enabled": ("smb", (1, 0), bool),
    "smb.acl_mode": ("smb_acl_mode", (1, 2), str),
    "http.enabled": ("http", (1, 0), bool),
    "default_user_quota": ("user_quota", (1, 6), int),
    "default_group_quota": ("group_quota", (1, 6), int),
    "multi_protocol.access_control_style": ("access_control_style", (1, 11), str),
    "multi_protocol.safeguard_acls": ("safeguard_acls", (1, 11), bool),
    "writable": ("writable", (1, 9), bool),
    "destroyed": ("destroyed", (1, 1), bool),
    "requested_promotion_state": ("", (1, 9), str),
    "nfs.add_rules": ("", (1, 11), str),
    "nfs.remove_rules": ("", (1, 11), str),
    "nfs.after": ("", (1, 11), str),
}
_EDITS = ("nfs.add_rules", "nfs.remove_rules", "nfs.after")


def row(state: BladeState, call: BladeCall, system: FileSystem) -> Row:
    """A file system with the fields its REST version knows."""
    version = call.version
    nfs: Row = {"enabled": system.v3, "rules": system.rules}
    if version >= (1, 6):
        nfs = {"v3_enabled": system.v3, "v4_1_enabled": system.v4_1, **nfs}
    smb: Row = {"enabled": system.smb}
    if version >= (1, 2):
        smb["acl_mode"] = system.smb_acl_mode
    found: Row = {"name": system.name, "created": int(system.created * 1000), "provisioned": system.size,
                  "fast_remove_directory_enabled": system.fast_remove,
                  "snapshot_directory_enabled": system.snapshot_directory,
                  "nfs": nfs, "smb": smb, "http": {"enabled": system.http}, "space": space_row(system.used)}
    later: list[tuple[int, Row]] = [
        (1, {"destroyed": system.destroyed, "time_remaining": state.time_remaining(system)}),
        (4, {"hard_limit_enabled": system.hard_limit}),
        (6, {"default_user_quota": system.user_quota, "default_group_quota": system.group_quota}),
        (8, {"id": system.id}),
        (9, {"source": {"name": system.source, "id": None}, "writable": system.writable,
             "promotion_status": "promoted", "requested_promotion_state": "promoted"}),
        (11, {"multi_protocol": {"access_control_style": system.access_control_style,
                                 "safeguard_acls": system.safeguard_acls}})]
    for minor, fields in later:
        if version >= (1, minor):
            found |= fields
    return found


def many(state: BladeState, call: BladeCall) -> Row:
    """GET file-systems: live and destroyed mixed; one unknown name fails the whole call"""
    names, ids = call.names(), call.names("ids")
    systems = state.all() if names is None else [state.get(name) for name in names]
    if ids is not None:
        systems = [_by_id(state, each) for each in ids]
    destroyed = call.query.get("destroyed")
    if destroyed is not None and call.version >= (1, 9):
        wanted = destroyed.lower() == "true"
        if names is not None and any(each.destroyed != wanted for each in systems):
            raise Refusal("File system does not exist.", ",".join(names))
        systems = [each for each in systems if each.destroyed == wanted]
    return listing(state, call, [row(state, call, each) for each in systems], _total)


def _by_id(state: BladeState, wanted: str) -> FileSystem:
    for system in state.all():
        if system.id == wanted:
            return system
    raise Refusal("File system does not exist.", wanted)


def _total(rows: Sequence[Row]) -> Row:
    return {"name": "total", "provisioned": sum(each["provisioned"] for each in rows),
            "space": space_row(sum(each["space"]["unique"] for each in rows))}


def create(state: BladeState, call: BladeCall) -> Row:
    """POST file-systems: new, a clone of a snapshot, or with `overwrite` a snapshot put back"""
    body = dict(call.body)
    name, source = body.pop("name", None) or call.query.get("name"), body.pop("source", None)
    if not name or not isinstance(name, str):
        raise Refusal("Missing parameter: name.")
    if "destroyed" in body:
        raise Refusal("Invalid argument: destroyed.", name)
    fields = read_fields(call, body, state.switches, name)
    if source is None:
        return {"items": [row(state, call, state.change(state.create(name), fields))]}
    if call.version < (1, 9):
        raise Refusal("Unexpected argument: source.", name)
    return {"items": [row(state, call, _from_snapshot(state, call, name, source, fields))]}


def _from_snapshot(state: BladeState, call: BladeCall, name: str, source: Any, fields: Row) -> FileSystem:
    snapshot = state.snapshot(str(source.get("name") if isinstance(source, dict) else source))
    if snapshot.destroyed:
        raise Refusal("Snapshot has been destroyed.", snapshot.name)
    if not call.flag("overwrite"):
        size: int = fields.get("size", snapshot.size)
        if fields.get("hard_limit") and 0 < size < snapshot.used:
            raise Refusal("Cannot set the size below the space in use.", name)
        return state.change(state.create(name, snapshot), fields)
    system = state.get(name)
    newer = any(each.created > snapshot.created for each in system.snapshots.values() if not each.destroyed)
    if newer and not call.flag("discard_non_snapshotted_data"):
        raise Refusal("File system has newer data; discard_non_snapshotted_data is needed.", name)
    return state.change(system, {"size": snapshot.size, "used": snapshot.used, "source": snapshot.name})


def change(state: BladeState, call: BladeCall) -> Row:
    """PATCH file-systems"""
    name = call.query.get("name") or call.query.get("names")
    system = state.get(name) if name else _by_id(state, call.query.get("ids", ""))
    fields = read_fields(call, call.body, state.switches, system.name)
    if edits := {key: value for key, value in _flatten(call.body).items() if key in _EDITS}:
        fields["rules"] = edit_rules(fields.get("rules", system.rules), edits, system.name)
    ignore = call.flag("ignore_usage") and call.version >= (1, 4)
    return {"items": [row(state, call, state.change(system, fields, ignore_usage=ignore))]}


def remove(state: BladeState, call: BladeCall) -> None:
    """DELETE file-systems: eradicate"""
    state.eradicate(call.one_name())


def read_fields(call: BladeCall, body: Mapping[str, Any], switches: FlashBladeSwitches, ctx: str) -> Row:
    """The attributes a body sets; fields newer than the call's version are refused or, by switch, ignored."""
    found: Row = {}
    for key, value in _flatten(body).items():
        attribute, since, kind = _FIELDS.get(key, ("", (9, 9), str))
        if call.version < since:
            if switches.unknown_field_fails:
                raise Refusal(f"Unexpected argument: {key}.", ctx)
            continue
        if type(value) is not kind or isinstance(value, int) and value < 0:
            raise Refusal(f"Invalid value of {key}.", ctx)
        if attribute and found.get(attribute, value) != value:
            raise Refusal(f"Contradictory value of {key}.", ctx)
        if attribute:
            found[attribute] = value
    return found


def _flatten(body: Mapping[str, Any], prefix: str = "") -> Row:
    """{"nfs": {"rules": "…"}} -> {"nfs.rules": "…"}"""
    found: Row = {}
    for key, value in body.items():
        if isinstance(value, dict):
            found |= _flatten(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def edit_rules(rules: str, edits: Mapping[str, str], ctx: str) -> str:
    """Add and remove export rules one by one (from REST 1.11); `after` names the rule new ones follow."""
    have = rules.split()
    for rule in edits.get("nfs.remove_rules", "").split():
        if rule not in have:
            raise Refusal("Rule does not exist.", ctx)
        have.remove(rule)
    added = edits.get("nfs.add_rules", "").split()
    after = edits.get("nfs.after")
    if after and after not in have:
        raise Refusal("Rule does not exist.", ctx)
    place = have.index(after) + 1 if after else len(have)
    return " ".join([*have[:place], *added, *have[place:]])


def snapshot_row(state: BladeState, call: BladeCall, snapshot: FileSystemSnapshot) -> Row:
    found: Row = {"name": snapshot.name, "suffix": snapshot.suffix, "source": snapshot.owner.name,
                  "created": int(snapshot.created * 1000)}
    if call.version >= (1, 1):
        found |= {"destroyed": snapshot.destroyed, "time_remaining": state.time_remaining(snapshot)}
    if call.version >= (1, 8):
        found |= {"id": snapshot.id, "source_destroyed": snapshot.owner.destroyed}
    if call.version >= (1, 9):
        found["owner"] = {"name": snapshot.owner.name, "id": snapshot.owner.id}
    return found


def snapshots(state: BladeState, call: BladeCall) -> Row:
    """GET file-system-snapshots"""
    found = state.snapshots()
    names = call.names("names_or_owner_names" if call.version >= (1, 9) else "names_or_sources")
    if names is not None:
        known = {name for each in found for name in (each.name, each.owner.name)} | {each.name for each in state.all()}
        if unknown := [name for name in names if name not in known]:
            raise Refusal("Snapshot does not exist.", unknown[0])
        found = [each for each in found if each.name in names or each.owner.name in names]
    return listing(state, call, [snapshot_row(state, call, each) for each in found])


def take(state: BladeState, call: BladeCall) -> Row:
    """POST file-system-snapshots"""
    sources = call.names("sources")
    if not sources:
        raise Refusal("Missing parameter: sources.")
    made = state.take(sources, call.body.get("suffix"))
    return {"items": [snapshot_row(state, call, each) for each in made]}


def change_snapshot(state: BladeState, call: BladeCall) -> Row:
    """PATCH file-system-snapshots: destroy or recover"""
    snapshot = state.snapshot(call.one_name())
    if not isinstance(call.body.get("destroyed"), bool):
        raise Refusal("Missing parameter: destroyed.", snapshot.name)
    state.set_snapshot_destroyed(snapshot, call.body["destroyed"])
    return {"items": [snapshot_row(state, call, snapshot)]}


def remove_snapshot(state: BladeState, call: BladeCall) -> None:
    """DELETE file-system-snapshots: eradicate"""
    state.eradicate_snapshot(call.one_name())
