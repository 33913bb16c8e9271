"""A role from which row-level security hides the rows: it finds an empty database, and nothing says so."""

from vigilbase.errors import AccessRefusedError

SEE_ROWS = "connect as the tables' owner, or as a role with BYPASSRLS such as service_role"


def hidden_from(role: object) -> str:
    """What is wrong, in words."""
    return f"row-level security hides the rows from the role {role}"


class BlindRoleError(AccessRefusedError):
    """Says what is wrong and what to do."""

    def __init__(self, role: object) -> None:
        super().__init__(f"{hidden_from(role)}: {SEE_ROWS}")
        self.role = role
