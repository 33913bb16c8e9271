"""`vigilbase doctor`."""

import sys

import typer

from vigilbase.cli.options import AsJson, ConfigFile
from vigilbase.files import DEFAULT_CONFIG


def doctor(config: ConfigFile = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """Check everything that Vigilbase needs, and say what to fix. Exit code 1 if there is a problem.

    Example: vigilbase doctor --config vigilbase.yaml
    """
    from vigilbase.cli.doctor_setup import run_checks
    from vigilbase.cli.output import console, print_json
    from vigilbase.cli.session import run_command
    from vigilbase.views.findings import make_finding_json, make_findings_table

    findings = run_command(run_checks(config))
    if as_json:
        print_json({"findings": [make_finding_json(finding) for finding in findings]})
    else:
        console.print(make_findings_table(findings))
    if any(finding.status == "problem" for finding in findings):
        sys.exit(1)


def register(app: typer.Typer) -> None:
    app.command()(doctor)
