"""The variables that `${NAME}` in the file stands for: the environment's, or files that it names, such as secrets."""

from collections.abc import Mapping
from pathlib import Path

MAX_CHARACTERS = 65_536


def variable(name: str, environ: Mapping[str, str]) -> str | None:
    """The value of an environment variable, or what is in the file that `NAME_FILE` names; None if neither is set.

    The line breaks at the end of a file don't count.

    Raises:
        ValueError: there is no such file that can be read. Its name isn't told: it may be the secret itself.

    """
    value, path = environ.get(name), environ.get(f"{name}_FILE")
    if value is not None or not path:
        return value
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise _useless(name, "holds no text in UTF-8") from None
    except OSError as error:
        raise _useless(name, f"can't be read: {(error.strerror or 'unknown reason').lower()}") from None
    except ValueError:  # no file can be called so
        raise _useless(name, "can't be read") from None
    if len(text) > MAX_CHARACTERS:
        raise _useless(name, f"has more than {MAX_CHARACTERS:,} characters")
    return text.rstrip("\r\n")


def _useless(name: str, said: str) -> ValueError:
    return ValueError(f"the environment variable {name} is not set, and the file that {name}_FILE names {said}")
