"""How a place in the file is named."""

import re

from vigilbase.spec.document import Value, child
from vigilbase.spec.syntax import Path

_SHOWN = re.compile(r"[\w .$/-]{1,60}")
"""Keys that are shown: in place of one may stand a URL with a password, where a colon or a space is missing."""
_SHOWN_OF_CHANNELS = re.compile(r"[A-Za-z_-]{1,30}")
"""What is in a channel is an address or a key more often than not."""


def place(path: Path, value: Value) -> str:
    """A path as `services[1] (database).expect.status`."""
    said = ""
    for depth, part in enumerate(path):
        if isinstance(part, int):
            said += f"[{part}]"
        else:
            shown = _SHOWN_OF_CHANNELS if depth > 1 and path[0] == "channels" else _SHOWN
            said += f".{part}" if shown.fullmatch(part) else ".…"
        value = child(value, part)
        if depth == 1 and path[0] == "services" and isinstance(name := child(value, "name"), str):
            said += f" ({name})" if name.isprintable() and 0 < len(name) <= 100 else ""
    return said.removeprefix(".")
