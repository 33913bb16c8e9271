"""Reading what a user wrote."""

from pathlib import Path

from vigilbase.errors import ConfigurationError

MAX_FILE_BYTES = 5_000_000


def read_text(path: Path) -> str:
    """The text of a file such as vigilbase.yaml, which holds 5 MB at the most.

    Raises:
        ConfigurationError: the file can't be read, is larger, or is no text.

    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        advice = "`vigilbase up` writes one, or name another with --config"
        raise ConfigurationError(f"{path}: there is no such file: {advice}") from error
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path}: is larger than {MAX_FILE_BYTES // 1_000_000} MB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not a text in UTF-8") from None
