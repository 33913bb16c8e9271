"""How a place in the file is named."""

import re

from vigilbase.spec.document import Value, child
from vigilbase.spec.syntax import Path

_SHOWN = re.compile(r"[\w .$/-]{1,60}")
"""Keys that are shown: in place of one may stand a URL with a password, where a colon or a space is missing."""


def place(path: Path, value: Value) -> str:
    """A path as `services[1] (database).expect.status`."""
    said = ""
    for depth, part in enumerate(path):
        if isinstance(part, int):
            said += f"[{part}]"
        else:
            said += f".{part}" if _SHOWN.fullmatch(part) else ".…"
        value = child(value, part)
        if depth == 1 and path[0] == "services" and isinstance(name := child(value, "name"), str):
            said += f" ({name})" if name.isprintable() and 0 < len(name) <= 100 else ""
    return said.removeprefix(".")
