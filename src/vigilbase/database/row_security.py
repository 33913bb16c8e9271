"""The error for a role from which row-level security hides the rows: it would silently see an empty database."""

from vigilbase.errors import AccessRefusedError

HIDDEN_ROWS_REMEDY = "connect as the tables' owner, or as a role with BYPASSRLS such as service_role"


def describe_hidden_rows(role: object) -> str:
    return f"row-level security hides the rows from the role {role}"


class HiddenRowsError(AccessRefusedError):
    """Row-level security hides the rows from `role`."""

    def __init__(self, role: object) -> None:
        super().__init__(f"{describe_hidden_rows(role)}: {HIDDEN_ROWS_REMEDY}")
        self.role = role
