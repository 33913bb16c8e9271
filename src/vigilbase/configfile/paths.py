"""Formats the path of a value for error messages."""

import re

from vigilbase.configfile.document import Value, get_child
from vigilbase.configfile.syntax import Path

_SAFE_KEY = re.compile(r"[\w .$/-]{1,60}")
"""Keys that a message may quote. If a colon or a space is missing, a URL with a password can become a key."""
_SAFE_CHANNEL_KEY = re.compile(r"[A-Za-z_-]{1,30}")
"""Stricter inside a channel, where most values are addresses or secrets."""


def format_path(path: Path, value: Value) -> str:
    """Format a path as `services[1] (database).expect.status`; `value` is the whole document."""
    text = ""
    for depth, part in enumerate(path):
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            safe_key = _SAFE_CHANNEL_KEY if depth > 1 and path[0] == "channels" else _SAFE_KEY
            text += f".{part}" if safe_key.fullmatch(part) else ".…"
        value = get_child(value, part)
        if depth == 1 and path[0] == "services" and isinstance(name := get_child(value, "name"), str):
            text += f" ({name})" if name.isprintable() and 0 < len(name) <= 100 else ""
    return text.removeprefix(".")
