"""`vigilbase schema`."""

import json

import typer

from vigilbase.spec import file_schema


def schema() -> None:
    """Print the JSON schema of vigilbase.yaml.

    With it, editors complete and check the file.

    Example: vigilbase schema > vigilbase.schema.json
    """
    typer.echo(json.dumps(file_schema(), indent=2))


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(schema)
