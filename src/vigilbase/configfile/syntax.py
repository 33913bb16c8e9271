"""Parses the YAML text to nodes, and describes syntax errors."""

from typing import TypeAlias

import yaml
from yaml.reader import ReaderError

Path: TypeAlias = tuple[str | int, ...]
"""The keys and list positions that lead from the top of the file to a value."""

UNKNOWN_TAG = "unknown tag; write text that begins with ! in quotes"


class Fault(Exception):  # noqa: N818 (the error that users see is a ConfigurationError)
    """A mistake in the file: its line, counted from 1, its path, and a message such as "must be a list"."""

    def __init__(self, line: int, path: Path, message: str) -> None:
        super().__init__(line, path, message)
        self.line, self.path, self.message = line, path, message


def compose(text: str) -> yaml.Node | None:
    """Return the root node of a YAML document; None if the text is empty.

    Raises:
        Fault: the text isn't one valid YAML document.

    """
    line = 1
    try:
        loader = yaml.SafeLoader(text)
        try:
            return loader.get_single_node()
        finally:
            # How far the parser came, for errors that don't know their line.
            line = loader.line + 1
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Fault(line, (), "invalid YAML: remove the non-printable character") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark:
            line = mark.line + 1
        raise Fault(line, (), _describe_yaml_error(error.problem or "", _get_line(text, line))) from None
    except RecursionError:
        raise Fault(line, (), "invalid YAML: nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError):
        raise Fault(line, (), "invalid YAML") from None


# PyYAML would quote a name here that may be a secret, because a password can begin with one of these characters.
_YAML_ERRORS = {
    "but found another document": "must be a single YAML document; remove this --- and what follows",
    "found undefined alias": "unknown alias; write text that begins with * in quotes",
    "second occurrence": "duplicate anchor; write text that begins with & in quotes",
    "found undefined tag handle": UNKNOWN_TAG,
    "found character '\\t'": "invalid YAML: indent with spaces, not tabs",
    "mapping values are not allowed here": "invalid YAML: check the indentation, and write text with ': ' in quotes",
    "expected <block end>": "invalid YAML: check the indentation",
    "found character '@'": "write text that begins with @ in quotes",
    "found character '`'": "write text that begins with ` in quotes",
    "found character '%'": "write text that begins with % in quotes",
}


def _describe_yaml_error(problem: str, line: str) -> str:
    for beginning, message in _YAML_ERRORS.items():
        if problem.startswith(beginning):
            return message
    if "${" in line and "'{'" in problem:
        return 'invalid YAML: inside { } and [ ], write ${NAME} in quotes, as in "${NAME}"'
    return f"invalid YAML: {problem}"


def _get_line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number - 1] if number <= len(lines) else ""
