"""`classroom doctor`: what works on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.options import StoreOption


def doctor(
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Say what works on this machine, and how to mend the rest."""
    from monitor.doctor import examine, print_findings

    findings = examine(store)
    print_findings(findings, as_json=as_json)
    if any(finding.status == "fail" for finding in findings):
        raise typer.Exit(1)
