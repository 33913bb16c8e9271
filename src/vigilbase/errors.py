"""Every exception that Vigilbase raises on purpose.

    VigilbaseError
    ├── InvalidInputError          a value breaks a rule; nothing was written (also a ValueError)
    ├── InvalidTransitionError     an alert event can't change from its status to the requested one
    ├── ConfigurationError         a setting or the configuration file is missing or wrong:
    │   └── MissingExtraError          what is configured needs an extra that isn't installed
    ├── MigrationError             the schema and this version don't match
    ├── EmbeddedPostgresError      the embedded Postgres can't be started, reached or stopped
    └── DatabaseError              a statement or a request failed:
        ├── DatabaseUnavailableError   the database is unreachable, too slow or temporarily read-only
        ├── MissingSchemaError         a table or a function is missing
        └── AccessRefusedError         the key or the role lacks a privilege

No message contains a password or a key, not even as part of a URL.
"""

from collections.abc import Mapping


class VigilbaseError(Exception):
    """The base class of all exceptions that Vigilbase raises on purpose. They can be pickled, as between processes."""

    def __reduce__(self) -> tuple[object, ...]:
        # Without the arguments of `__init__`, which are not those of the message.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[VigilbaseError], args: tuple[object, ...], state: Mapping[str, object]) -> VigilbaseError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class InvalidInputError(VigilbaseError, ValueError):
    """A value breaks a rule. Raised before anything is written.

    `field` is the name of the argument or attribute, and `rule` what it must be, such as "must not be empty".
    """

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field} {rule}")
        self.field = field
        self.rule = rule


class InvalidTransitionError(VigilbaseError):
    """An alert event can't make the requested transition, for example a resolved one can't be acknowledged."""


class ConfigurationError(VigilbaseError):
    """A setting or the configuration file is missing or wrong. The message says what to change."""


class MissingExtraError(ConfigurationError):
    """`user`, such as "http services", needs an extra of which `module` is missing."""

    def __init__(self, user: str, extra: str, module: str, alternative: str = "") -> None:
        super().__init__(
            f"{user}: the extra {extra} is not installed (there is no module {module}): "
            f"run `pip install 'vigilbase[{extra}]'`{alternative}"
        )
        self.extra = extra


class MigrationError(VigilbaseError):
    """The database's schema and this version of Vigilbase don't match. The message says what to do."""


class EmbeddedPostgresError(VigilbaseError):
    """The embedded Postgres can't be started, reached or stopped. The message says why."""


class DatabaseError(VigilbaseError):
    """A statement or a request failed. The message names it; the driver's error is the `__cause__`."""


class DatabaseUnavailableError(DatabaseError):
    """The database is unreachable, too slow or temporarily read-only. The same call may succeed later."""


class MissingSchemaError(DatabaseError):
    """A table or a function is missing. Run `vigilbase migrate`."""


class AccessRefusedError(DatabaseError):
    """The key is invalid or revoked, or the role lacks a privilege."""
