"""Every exception that Vigilbase raises on purpose.

    VigilbaseError
    ├── InvalidInputError          a value breaks a rule; nothing was written   (also a ValueError)
    ├── InvalidTransitionError     an alert event can't go from its status to that one
    ├── ConfigurationError         a setting, or the file of services, is missing or wrong
    ├── MigrationError             the schema and this program don't fit each other
    ├── EmbeddedPostgresError      the embedded Postgres can't be started, reached or stopped
    └── DatabaseError              a statement or a request failed
        ├── DatabaseUnavailableError   … because nobody answered, or not in time, or it can only be read just now
        ├── MissingSchemaError         … because a table or a function isn't there
        └── AccessRefusedError            … because the key or the role may not do that

No message carries a secret: neither a password nor a key, not even as part of a URL.
"""


class VigilbaseError(Exception):
    """The base of all of them; catch it to catch whatever Vigilbase raises on purpose."""


class InvalidInputError(VigilbaseError, ValueError):
    """A value breaks a rule. Raised before anything is written.

    `field` is the name of the argument or attribute, `rule` what it has to be.
    """

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field} {rule}")
        self.field = field
        self.rule = rule


class InvalidTransitionError(VigilbaseError):
    """An alert event can't take the step that was asked for, such as acknowledging a resolved one."""


class ConfigurationError(VigilbaseError):
    """A setting or the file of services is missing or wrong; the message says what to set."""


class MigrationError(VigilbaseError):
    """The database's schema and this program don't fit each other; the message says what to do."""


class EmbeddedPostgresError(VigilbaseError):
    """The embedded Postgres can't be started, reached or stopped; the message says why."""


class DatabaseError(VigilbaseError):
    """A statement or a request failed. The message says what was tried; the driver's error is the cause."""


class DatabaseUnavailableError(DatabaseError):
    """Nobody answered, or not in time, or the database takes no writes just now; the same call may go through later."""


class MissingSchemaError(DatabaseError):
    """A table or a function isn't there: run `vigilbase migrate`."""


class AccessRefusedError(DatabaseError):
    """The key is not (or no longer) one of the project's, or the role lacks a privilege."""
