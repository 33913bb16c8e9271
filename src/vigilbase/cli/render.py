"""How values look in a terminal. Whatever came from outside is text, never markup."""

from collections.abc import Mapping
from datetime import datetime

from rich.text import Text

from vigilbase.alerts.judge import in_words
from vigilbase.vocabulary import Status

STYLES: Mapping[Status, Text] = {
    "healthy": Text("healthy", style="green"),
    "degraded": Text("degraded", style="yellow"),
    "down": Text("down", style="bold red"),
}


def plain(value: str | None) -> Text:
    """A text that a service or a user chose, safe to print: control characters are shown, not obeyed."""
    return Text("".join(character if character.isprintable() else repr(character)[1:-1] for character in value or ""))


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, in words."""
    return "" if moment is None else f"{in_words(max(now - moment, now - now))} ago"
