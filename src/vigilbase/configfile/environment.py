"""Reads the variables that `${NAME}` refers to, from the environment or from files such as Docker secrets."""

from collections.abc import Mapping
from pathlib import Path

MAX_CHARACTERS = 65_536


def read_variable(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the variable `name`, or the content of the file that `NAME_FILE` names; None if neither is set.

    Line breaks at the end of the file are removed.

    Raises:
        ValueError: the file can't be read. The message doesn't contain its path, which may be the secret itself.

    """
    value, path = environ.get(name), environ.get(f"{name}_FILE")
    if value is not None or not path:
        return value
    try:
        with Path(path).open(encoding="utf-8") as file:
            # One more than allowed shows that a file is too long; a file such as /dev/zero never ends.
            text = file.read(MAX_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise _make_file_error(name, "is not UTF-8 text") from None
    except OSError as error:
        raise _make_file_error(name, f"can't be read: {(error.strerror or 'unknown reason').lower()}") from None
    except ValueError:  # the path contains a NUL character
        raise _make_file_error(name, "can't be read") from None
    if len(text) > MAX_CHARACTERS:
        raise _make_file_error(name, f"has more than {MAX_CHARACTERS:,} characters")
    return text.rstrip("\r\n")


def _make_file_error(name: str, problem: str) -> ValueError:
    return ValueError(f"the environment variable {name} is not set, and the file named by {name}_FILE {problem}")
