"""Standard output: tables, lines and JSON."""

import json
import sys

from rich.console import Console

# Into a pipe or a file, a table is as wide as it needs to be.
console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout and sys.stdout.isatty() else 10_000)


def print_json(value: object) -> None:
    """Print JSON in ASCII, so that no terminal obeys or reorders anything (control characters, bidi overrides)."""
    if console.is_terminal:
        console.print_json(data=value, ensure_ascii=True)
    else:
        sys.stdout.write(f"{json.dumps(value, indent=2)}\n")


def print_line(text: str, style: str | None = None) -> None:
    """Print a line as it is, without markup."""
    console.print(text, markup=False, style=style)
