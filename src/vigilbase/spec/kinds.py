"""Which kind a service or a channel is of: the one key that it has of some."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from vigilbase.spec.document import Document, Value
from vigilbase.spec.syntax import Path


def kind_of(
    item: Mapping[str, Value], kinds: Collection[str], others: Collection[str], document: Document, path: Path
) -> str | None:
    """The kind of what is at a path; None, and a fault, if it has none or several.

    `others` are keys that it may have besides, so that they aren't taken for a misspelt kind.
    """
    found = [kind for kind in kinds if kind in item]
    if len(found) == 1:
        return found[0]
    close = [kind for key in item.keys() - set(others) for kind in get_close_matches(key, kinds, 1)]
    meant = f"; did you mean {min(close)}?" if close and not found else ""
    several = f", and has {' and '.join(found)}" if found else ""
    document.note(path, f"must have exactly one of {', '.join(kinds)}{several}{meant}")
    return None
