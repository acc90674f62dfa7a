"""Rows for people and for programs: an aligned table, or JSON with the same fields."""

import json
from collections.abc import Mapping, Sequence

Row = Mapping[str, object]


def rendered(rows: Sequence[Row], as_json: bool, nothing: str) -> str:
    """Rows of equal keys as text; `nothing` stands for no rows in a table."""
    if as_json:
        return json.dumps(list(rows), indent=2)
    if not rows:
        return nothing
    header = [key.upper().replace("_", " ") for key in rows[0]]
    lines = [header, *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, Mapping):
        return ",".join(f"{key}={item}" for key, item in value.items()) or "-"
    return str(value)
