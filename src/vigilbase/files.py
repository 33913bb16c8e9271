"""Reading files that a user wrote."""

from pathlib import Path

from vigilbase.errors import ConfigurationError

DEFAULT_CONFIG = Path("vigilbase.yaml")
MAX_FILE_BYTES = 5_000_000


def read_text(path: Path) -> str:
    """Read a UTF-8 text file of at most 5 MB, such as vigilbase.yaml.

    Raises:
        ConfigurationError: the file can't be read, is larger, or is not UTF-8 text.

    """
    try:
        with path.open("rb") as file:
            # One byte more than allowed is enough to reject a file of any size.
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        advice = "run `vigilbase up` to create one, or choose another with --config"
        raise ConfigurationError(f"{path}: does not exist: {advice}") from error
    except OSError as error:
        raise ConfigurationError(
            f"{path}: can't be read ({error.strerror}): choose a file that this user can read"
        ) from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path}: must be at most {MAX_FILE_BYTES // 1_000_000} MB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: must be UTF-8 text: save it in that encoding") from None
