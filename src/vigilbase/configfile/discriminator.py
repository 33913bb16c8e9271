"""Finds the kind of a service or a channel, which is one of its keys."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from vigilbase.configfile.document import Document, Value
from vigilbase.configfile.syntax import Path


def find_kind(
    item: Mapping[str, Value], kinds: Collection[str], others: Collection[str], document: Document, path: Path
) -> str | None:
    """Return the kind of the item at a path; None if it doesn't have exactly one, which adds a fault.

    `others` are keys that the item may have too, so they are not suggested as misspelled kinds.
    """
    present = [kind for kind in kinds if kind in item]
    if len(present) == 1:
        return present[0]
    close = [kind for key in item.keys() - set(others) for kind in get_close_matches(key, kinds, 1)]
    # min(), because the order of a set changes from run to run.
    suggestion = f"; did you mean {min(close)}?" if close and not present else ""
    conflict = f", but has {' and '.join(present)}" if present else ""
    document.add_fault(path, f"must have exactly one of {', '.join(kinds)}{conflict}{suggestion}")
    return None
