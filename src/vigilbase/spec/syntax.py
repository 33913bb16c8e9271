"""From a text to the nodes of its YAML, and what to say when it has none."""

from typing import TypeAlias

import yaml
from yaml.reader import ReaderError

Path: TypeAlias = tuple[str | int, ...]
"""Keys and positions from the top of the file to a value."""


class Fault(Exception):  # noqa: N818 (the error is made of it, once its place has a name)
    """Something wrong in the file: its line, counted from 1, its path, and what it must be."""

    def __init__(self, line: int, path: Path, said: str) -> None:
        super().__init__(line, path, said)
        self.line, self.path, self.said = line, path, said


def compose(text: str) -> yaml.Node | None:
    """The nodes of a text that is one YAML document; None if it is empty.

    Raises:
        Fault: it is none.

    """
    line = 1
    try:
        loader = yaml.SafeLoader(text)
        try:
            return loader.get_single_node()
        finally:
            line = loader.line + 1
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Fault(line, (), "is no YAML: a character that no text has") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark:
            line = mark.line + 1
        raise Fault(line, (), _in_words(error.problem or "", _line_of(text, line))) from None
    except RecursionError:
        raise Fault(line, (), "is no YAML that can be read: nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError):
        raise Fault(line, (), "is no YAML") from None


# PyYAML quotes a name here that may be a secret: a password may well begin with one of these characters.
_WORDS = {
    "but found another document": "must be one YAML document, without a second after ---",
    "found undefined alias": "an alias of nothing; write a text that begins with * in quotes",
    "second occurrence": "an anchor that is there twice; write a text that begins with & in quotes",
    "found undefined tag handle": "an unknown tag; write a text that begins with ! in quotes",
    "found character '\\t'": "a tab; YAML is indented with spaces",
    "mapping values are not allowed here": "is no YAML: is this line indented like the ones above? "
    "And a text with ': ' in it must be in quotes",
    "expected <block end>": "is no YAML: is this line indented like the ones above?",
    "found character '@'": "write a text that begins with @ in quotes",
    "found character '`'": "write a text that begins with ` in quotes",
    "found character '%'": "write a text that begins with % in quotes",
}


def _in_words(problem: str, line: str) -> str:
    for beginning, words in _WORDS.items():
        if problem.startswith(beginning):
            return words
    if "${" in line and "'{'" in problem:
        return 'is no YAML: within { } and [ ] a ${NAME} must be in quotes, as in "${NAME}"'
    return f"is no YAML: {problem}"


def _line_of(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number - 1] if number <= len(lines) else ""
