"""The stack and its care: run it or a role of it, bring its database up to date, look whether all is well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bellwether import settings as settings_of
from bellwether.console import AsJson, console, print_json, say
from bellwether.logs import log_to_stderr
from bellwether.stack.folder import default_path

DataOption = Annotated[Path | None, typer.Option("--data", help="The folder of the stack.", show_default=False)]
HttpPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the dashboard; a free one otherwise.")]
MqttPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the broker; a free one otherwise.")]
PgPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the database; a free one otherwise.")]
DatabaseUrl = Annotated[str | None, typer.Option(help="A TimescaleDB of yours instead of ours, as its owner.")]
MqttUrl = Annotated[str | None, typer.Option(help="mqtt://user:password@host:1883, or mqtts:// for TLS.")]


def up(
    data: DataOption = None,
    http_port: HttpPort = None,
    mqtt_port: MqttPort = None,
    pg_port: PgPort = None,
    database_url: DatabaseUrl = None,
    mqtt_url: MqttUrl = None,
) -> None:
    """Run the whole stack in the foreground: TimescaleDB, Mosquitto, ingest, api, notify. Ctrl-C ends it.

    Example: bellwether up --data ~/plant --http-port 8080
    """
    from bellwether.up import Options
    from bellwether.up import up as run

    run(Options(data or default_path(), http_port, mqtt_port, pg_port, database_url, mqtt_url), say)


def demo(
    data: DataOption = None,
    for_s: Annotated[float | None, typer.Option("--for", min=1, help="Seconds; otherwise until Ctrl-C.")] = None,
    speed: Annotated[float, typer.Option(min=1, help="How much faster than real time the fleet lives.")] = 1.0,
    http_port: HttpPort = None,
) -> None:
    """The stack with a simulated fleet whose machines begin to fail; a line for each alarm and ticket.

    Example: bellwether demo --for 120
    """
    from bellwether.demo import run_demo
    from bellwether.up import Options

    run_demo(Options(data or default_path().with_name("bellwether-demo"), http_port=http_port), for_s, speed, say)


def ingest() -> None:
    """Run the role that stores and scores telemetry.

    Example: BELLWETHER_DATABASE_URL=… BELLWETHER_MQTT_URL=… bellwether ingest
    """
    from bellwether.roles import run_ingest

    _as_a_role(run_ingest)


def api() -> None:
    """Run the role that serves the API and the pages.

    Example: BELLWETHER_DATABASE_URL=… BELLWETHER_SECRET=… bellwether api
    """
    from bellwether.roles import run_api

    _as_a_role(run_api)


def notify() -> None:
    """Run the role that carries alarms to tickets, and minds the clocks.

    Example: BELLWETHER_DATABASE_URL=… BELLWETHER_API_URL=… BELLWETHER_SECRET=… bellwether notify
    """
    from bellwether.roles import run_notify

    _as_a_role(run_notify)


def _as_a_role(run: Callable[[settings_of.Settings], None]) -> None:
    log_to_stderr()
    run(settings_of.load())


def migrate() -> None:
    """Bring the database up to date, as its owner: schema, roles and their passwords, tenants, first administrator.

    Example: BELLWETHER_DATABASE_URL=postgresql://owner:…@host/bellwether bellwether migrate
    """
    from bellwether.migration import run_migration

    run_migration(settings_of.load(), say)


def doctor(as_json: AsJson = False) -> None:
    """Check settings, database, broker, clock and disk: a line each, with a remedy.

    Example: bellwether doctor --json
    """
    from bellwether.doctor import examine

    findings = examine(settings_of.load())
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        for finding in findings:
            colour = {"ok": "green", "warning": "yellow", "failed": "red"}[finding.verdict]
            console.print(f"[{colour}]{finding.verdict:8}[/] {escape(finding.line)}", soft_wrap=True)
    if any(finding.verdict == "failed" for finding in findings):
        raise typer.Exit(1)


def certs(
    out: Annotated[
        Path | None, typer.Option(help="The folder; that of the stack here otherwise.", show_default=False)
    ] = None,
    name: Annotated[list[str] | None, typer.Option(help="A host name or address of the broker; repeat it.")] = None,
    device: Annotated[str | None, typer.Option(help="Make a device's: the username of its credential.")] = None,
    days: Annotated[int, typer.Option(min=1, max=7300, help="How long a device's is valid.")] = 825,
    env: Annotated[Path | None, typer.Option(help="An env file that Compose reads: gets the broker's, too.")] = None,
) -> None:
    """Make what TLS needs: an authority, the broker's certificate, and those of devices; renew what is near its end.

    Example: bellwether certs --name broker.plant.example && bellwether certs --device bw-3f2a9c-7d1e5b0a9c4f2e68
    """
    from bellwether.certs import ensure_authority, ensure_server, issue_device, write_env

    folder = out or default_path() / "certs"
    authority = ensure_authority(folder)
    if device is not None:
        issued = issue_device(folder, authority, device, days)
        say(f"{issued.certificate} and {issued.key}: for {device}, {days} days; it trusts {folder / 'ca.crt'}")
        return
    issued = ensure_server(folder, authority, name)
    say(f"{issued.certificate}: {'made' if issued.made else 'kept'}; devices trust {folder / 'ca.crt'}")
    if env is not None:
        write_env(env, folder)
        say(f"{env}: knows them")
