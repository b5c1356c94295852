"""The `bellwether` command.

Exit 0: done. 1: failed. 2: wrong usage or settings, with one line that says which and what to do. Nothing heavy is
imported before it is known which command it is.
"""

from __future__ import annotations

import typer

from bellwether import analyses
from bellwether.commands import audit, intake, stack, telemetry
from bellwether.commands.backtest import backtest
from bellwether.console import end
from bellwether.life import life
from bellwether.stack.errors import StackError
from bellwether.vibration import vibration
from store.errors import Misconfigured, Unavailable

app = typer.Typer(
    name="bellwether",
    help="Predictive maintenance for connected equipment: from a sensor's reading to a scheduled repair.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for command in (stack.up, stack.demo, stack.ingest, stack.api, stack.notify, stack.migrate, stack.doctor, stack.certs):
    app.command()(command)
app.add_typer(intake.mapping, name="mapping")
app.add_typer(intake.ledger, name="ledger")
app.add_typer(intake.rejects, name="rejects")
app.add_typer(audit.audit, name="audit")
app.command()(telemetry.simulate)
app.command("demo-fleet", hidden=True)(telemetry.demo_fleet)
app.command()(telemetry.replay)
app.command()(telemetry.backfill)
app.command()(backtest)
app.command()(analyses.detect)
app.command()(analyses.changepoints)
app.command()(analyses.peers)
app.command()(vibration)
app.add_typer(life, name="life")


def main() -> None:
    """Run the command; every failure that is foreseen is one line and an exit code."""
    try:
        app()
    except Misconfigured as error:
        end(2, error)
    except (Unavailable, StackError, OSError) as error:
        end(1, error)
