"""A rule tried over stored history, before it is in force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bellwether import settings as settings_of
from bellwether.console import AsJson, end, print_json, say
from store.errors import Misconfigured, Unavailable


def backtest(
    file: Annotated[Path | None, typer.Argument(exists=True, dir_okay=False, help="A rule as TOML.")] = None,
    rule: Annotated[str | None, typer.Option(help="Or one that is in force, by its id.", show_default=False)] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose; needed where there are several.")] = None,
    days: Annotated[int, typer.Option(min=1, max=90, help="Over the last so many days.")] = 30,
    device: Annotated[list[str] | None, typer.Option(help="Only this device; may be given again.")] = None,
    as_json: AsJson = False,
) -> None:
    """Try a rule over stored history: alarms a day, what would be missed, who would be woken. Changes nothing.

    Exit 0 where it fits the alarm budget, 1 where it does not, 2 where it cannot be tried.

    Example: bellwether backtest flow-high.toml --days 30
    """
    from bellwether.backtest import lines, tried

    if (file is None) == (rule is None):
        end(2, Misconfigured("a rule's file, or --rule with the id of one that is in force"))
    try:
        fits, found = tried(settings_of.load(), file, rule, tenant, days, device)
    except (Misconfigured, Unavailable) as error:
        end(2, error)
    if as_json:
        print_json(found)
    for line in () if as_json else lines(found):
        say(line)
    raise typer.Exit(0 if fits else 1)
