"""Who did what: the chain of acts verified, and exported to be kept elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bellwether import settings as settings_of
from bellwether.console import AsJson, end, print_json, say
from store.errors import Misconfigured, Unavailable

audit = typer.Typer(
    help="Who did what, in a chain that shows tampering.\n\nExample: bellwether audit verify",
    no_args_is_help=True,
    rich_markup_mode=None,
)

OfHead = Annotated[str | None, typer.Option(help="A hash of the chain that was kept elsewhere.", show_default=False)]


@audit.command("verify")
def audit_verify(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's chain.", show_default=False)] = None,
    head: OfHead = None,
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="An export instead of the database.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute each chain and name the first row that is wrong. Exit 1 where there is one.

    Example: bellwether audit verify --tenant demo
    """
    from bellwether.audit import line, shown, snapshot, verified, verified_file

    try:
        if file is not None:
            found = [verified_file(file, head)]
        else:
            with snapshot(settings_of.load()) as conn:
                found = list(verified(conn, tenant, head))
    except (Misconfigured, Unavailable) as error:
        end(2 if isinstance(error, Misconfigured) else 1, error)
    if as_json:
        print_json([shown(one) for one in found])
    for one in () if as_json else found:
        say(line(one))
    if any(one.wrong for one in found):
        raise typer.Exit(1)


@audit.command("export")
def audit_export(
    tenant: Annotated[str, typer.Option(help="Whose chain.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="Where to: JSON lines.")],
) -> None:
    """Write a chain to a file that `verify --file` follows without a database. What is not sealed yet is left out.

    Example: bellwether audit export --tenant demo --out acts.jsonl
    """
    from bellwether.audit import exported, snapshot

    rows = -1
    with snapshot(settings_of.load()) as conn, out.open("w", encoding="utf-8") as file:
        for text in exported(conn, tenant):
            file.write(text + "\n")
            rows += 1
    say(f"{rows} acts of {tenant} in {out}")
