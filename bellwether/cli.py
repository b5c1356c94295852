"""The `bellwether` command.

Exit 0: done. 1: failed. 2: wrong usage or settings, with one line that says which and what to do. Nothing heavy is
imported before it is known which command it is.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape

from bellwether import analyses
from bellwether import settings as settings_of
from bellwether.console import AsJson, console, end, names, print_json, say, tell
from bellwether.life import life
from bellwether.logs import log_to_stderr
from bellwether.stack.errors import StackError
from bellwether.stack.folder import default_path
from bellwether.vibration import vibration
from firmware_sim.encoding import Form
from store.errors import Misconfigured, Unavailable

app = typer.Typer(
    name="bellwether",
    help="Predictive maintenance for connected equipment: from a sensor's reading to a scheduled repair.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
mapping = typer.Typer(
    help="Devices that speak another language.\n\nExample: bellwether mapping test --topic a/b --payload message.json",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(mapping, name="mapping")
ledger = typer.Typer(
    help="What became of every message.\n\nExample: bellwether ledger verify",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(ledger, name="ledger")

rejects = typer.Typer(
    help="What could not be stored: look at it, play it again.\n\nExample: bellwether rejects list --since 36h",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(rejects, name="rejects")
app.add_typer(life, name="life")
app.command()(analyses.detect)
app.command()(analyses.changepoints)
app.command()(analyses.peers)
app.command()(vibration)

DataOption = Annotated[Path | None, typer.Option("--data", help="The folder of the stack.", show_default=False)]
HttpPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the dashboard; a free one otherwise.")]
MqttPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the broker; a free one otherwise.")]
PgPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the database; a free one otherwise.")]
DatabaseUrl = Annotated[str | None, typer.Option(help="A TimescaleDB of yours instead of ours, as its owner.")]
MqttUrl = Annotated[str | None, typer.Option(help="mqtt://user:password@host:1883, or mqtts:// for TLS.")]
OfTenant = Annotated[str | None, typer.Option(help="Only this tenant's; '' for nobody's.", show_default=False)]
OfDevice = Annotated[str | None, typer.Option(help="Only this device's.", show_default=False)]
OfReason = Annotated[str | None, typer.Option(help="Only those with this in their reason.", show_default=False)]
Since = Annotated[str | None, typer.Option(help="Arrived then or later: RFC 3339, or 90m, 36h, 7d ago.")]
Until = Annotated[str | None, typer.Option(help="Arrived before then, likewise.")]


@app.command()
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
    from bellwether.up import Wishes
    from bellwether.up import up as run

    run(Wishes(data or default_path(), http_port, mqtt_port, pg_port, database_url, mqtt_url), say)


@app.command()
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
    from bellwether.up import Wishes

    run_demo(Wishes(data or default_path().with_name("bellwether-demo"), http_port=http_port), for_s, speed, say)


@app.command()
def ingest() -> None:
    """Run the role that stores and scores telemetry.

    Example: BELLWETHER_DATABASE_URL=… BELLWETHER_MQTT_URL=… bellwether ingest
    """
    from bellwether.roles import run_ingest

    _as_a_role(run_ingest)


@app.command()
def api() -> None:
    """Run the role that serves the API and the pages.

    Example: BELLWETHER_DATABASE_URL=… BELLWETHER_SECRET=… bellwether api
    """
    from bellwether.roles import run_api

    _as_a_role(run_api)


@app.command()
def notify() -> None:
    """Run the role that carries alarms to tickets, and minds the clocks.

    Example: BELLWETHER_DATABASE_URL=… BELLWETHER_API_URL=… BELLWETHER_SECRET=… bellwether notify
    """
    from bellwether.roles import run_notify

    _as_a_role(run_notify)


@app.command()
def migrate() -> None:
    """Bring the database up to date, as its owner: schema, roles and their passwords, tenants, first administrator.

    Example: BELLWETHER_DATABASE_URL=postgresql://owner:…@host/bellwether bellwether migrate
    """
    from bellwether.migration import run_migration

    run_migration(settings_of.load(), say)


@app.command()
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


@app.command()
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


@mapping.command("test")
def mapping_test(
    topic: Annotated[str, typer.Option(help="The topic on which it came.")],
    payload: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="A file with the message as it came.")],
    as_json: AsJson = False,
) -> None:
    """Show what a message would become under the mappings of bellwether.toml. Nothing is stored.

    Example: bellwether mapping test --topic tele/th16/SENSOR --payload message.json
    """
    from bellwether.mapping import lines, mappings_of, try_message

    tried = try_message(mappings_of(settings_of.load()), topic, payload.read_bytes())
    if as_json:
        print_json(tried)
    else:
        lines(tried, say)
    if tried["rejects"] or not (tried["mapping"] or tried["readings"]):
        raise typer.Exit(1)


@ledger.command("verify")
def ledger_verify(as_json: AsJson = False) -> None:
    """Recompute the ledger from the tables, every reading counted, and say where they differ.

    Example: bellwether ledger verify
    """
    from bellwether.ledger import verify

    try:
        devices, found = verify(settings_of.load())
    except (Misconfigured, Unavailable) as error:
        end(2 if isinstance(error, Misconfigured) else 1, error)
    if as_json:
        print_json({"devices": devices, "differences": [asdict(each) for each in found]})
    for each in () if as_json else found:
        say(f"{each.tenant}/{each.device}: {each.what}: the ledger says {each.ledger}, the tables {each.tables}")
    if not as_json and not found:
        say(f"the ledger and the tables agree on {devices} devices")
    if found:
        raise typer.Exit(1)


@rejects.command("list")
def rejects_list(
    tenant: OfTenant = None,
    device: OfDevice = None,
    reason: OfReason = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """What could not be stored, newest first.

    Example: bellwether rejects list --device press-7 --since 36h
    """
    from bellwether.rejects import line, opened, shown, which
    from store.rejects import page_of_all

    wanted = which(tenant=tenant, device=device, reason=reason, since=since, until=until)
    with opened(settings_of.load()) as conn:
        found = page_of_all(conn, wanted, limit)
    if as_json:
        print_json([shown(one) for one in found])
    for one in () if as_json else found:
        say(line(one))


@rejects.command("show")
def rejects_show(number: Annotated[int, typer.Argument(help="The number of a reject.")]) -> None:
    """One reject, with what is kept of what was sent.

    Example: bellwether rejects show 4711
    """
    from bellwether.rejects import opened, shown, which
    from store.rejects import page_of_all

    with opened(settings_of.load()) as conn:
        found = page_of_all(conn, which([number]), 1)
    if not found:
        end(1, ValueError(f"there is no reject {number}"))
    print_json(shown(found[0]))


@rejects.command("play")
def rejects_play(
    number: Annotated[list[int] | None, typer.Argument(help="Numbers of rejects; or tell which.")] = None,
    tenant: OfTenant = None,
    device: OfDevice = None,
    reason: OfReason = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many messages at most.")] = 10_000,
    everything: Annotated[bool, typer.Option("--all", help="All there are, without telling which.")] = False,
    wait: Annotated[bool, typer.Option(help="Until ingest has played them.")] = True,
) -> None:
    """Have ingest take messages again, by today's mappings, at the time at which they came.

    Example: bellwether rejects play --reason "nothing in it" --since 7d
    """
    from bellwether.rejects import play, which

    wanted = which(number, tenant, device, reason, since, until)
    if wanted == which() and not everything:
        raise Misconfigured("which? numbers, --tenant, --device, --reason, --since or --until; or --all")
    play(settings_of.load(), wanted, limit, wait, say)


@rejects.command("purge")
def rejects_purge(
    days: Annotated[int, typer.Option(min=1, max=36_500, help="Forget what is older than so many days.")],
) -> None:
    """Forget rejects before their time, of all tenants. The ledger keeps how many there were.

    Example: bellwether rejects purge --days 7
    """
    from bellwether.rejects import opened
    from store.rejects import forget

    with opened(settings_of.load()) as conn:
        gone = forget(conn, days)
    say(f"{gone} rejects forgotten")


@app.command()
def simulate(
    devices: Annotated[int, typer.Option(min=1, max=10_000, help="How many machines.")] = 12,
    rate: Annotated[float, typer.Option(min=0.001, max=1000, help="Samples a second, in Hz.")] = 1.0,
    faults: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="What breaks: TOML or JSON.")] = None,
    for_s: Annotated[float | None, typer.Option("--for", min=1, help="Seconds; otherwise until Ctrl-C.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same fleet.")] = 0,
    speed: Annotated[float, typer.Option(min=1, help="How much faster than real time it lives.")] = 1.0,
    history: Annotated[float, typer.Option(min=0, help="Seconds of healthy past to send first.")] = 0.0,
    truth: Annotated[Path | None, typer.Option(help="Where the ground truth goes, as JSON lines.")] = None,
    form: Annotated[Form, typer.Option(help="How readings are written.")] = Form.COLUMNS,
    buffer: Annotated[Path | None, typer.Option(file_okay=False, help="Where unconfirmed messages are kept.")] = None,
    waveforms: Annotated[float, typer.Option(min=0, help="Seconds between blocks of raw vibration; 0: none.")] = 0.0,
    sparkplug: Annotated[str | None, typer.Option(help="Behind a Sparkplug edge node of this name.")] = None,
    tenant: Annotated[str, typer.Option(help="Whose devices they are.")] = "demo",
    mqtt_url: MqttUrl = None,
    as_json: AsJson = False,
) -> None:
    """A fleet of believable devices over MQTT, with faults that grow.

    Example: bellwether simulate --devices 24 --rate 2 --faults faults.toml --truth truth.jsonl
    """
    from firmware_sim.connection import Refused, Unreachable
    from firmware_sim.fleet import simulate as run

    broker = _broker(mqtt_url)
    if sparkplug is not None:
        if speed != 1.0 or history or truth or buffer or waveforms:
            raise Misconfigured("--sparkplug: no --speed, --history, --truth, --buffer or --waveforms with it")
        tell(_behind_an_edge_node(broker, sparkplug, devices, rate, faults, for_s, seed, tenant), as_json)
        return
    try:
        report = run(
            devices,
            rate_hz=rate,
            faults=faults,
            for_s=for_s,
            seed=seed,
            speed=speed,
            history_s=history,
            tenant=tenant,
            mqtt_url=str(broker),
            username=broker.username,
            password=broker.password,
            trust=broker.trust,
            truth_path=truth,
            form=form,
            buffer=buffer,
            waveform_every_s=waveforms,
            stop=_stop_event(),
            on_event=None if as_json else lambda event: say(_happening(event)),
        )
    except ValueError as error:
        raise Misconfigured(str(error)) from error
    except (Unreachable, Refused) as error:
        raise Unavailable(str(error)) from error
    tell(report, as_json)


def _behind_an_edge_node(
    broker: Any,
    node: str,
    devices: int,
    rate_hz: float,
    faults: Path | None,
    for_s: float | None,
    seed: int,
    tenant: str,
) -> Any:
    from firmware_sim.connection import Refused, Unreachable
    from firmware_sim.scenario import Scenario
    from firmware_sim.sparkplug_fleet import simulate as run

    try:
        return run(
            devices,
            broker,
            node,
            rate_hz=rate_hz,
            scenario=Scenario.read(faults) if faults else None,
            for_s=for_s,
            seed=seed,
            tenant=tenant,
            stop=_stop_event(),
        )
    except ValueError as error:
        raise Misconfigured(str(error)) from error
    except (Unreachable, Refused) as error:
        raise Unavailable(str(error)) from error


@app.command("demo-fleet", hidden=True)
def demo_fleet(state: Annotated[Path, typer.Option()], speed: Annotated[float, typer.Option(min=1)] = 1.0) -> None:
    """The fleet of the demonstration: what `bellwether demo` starts beside the stack."""
    from firmware_sim.demo import run_demo

    broker = _broker(None)
    run_demo(state, str(broker), broker.username, broker.password, trust=broker.trust, speed=speed, stop=_stop_event())


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="CSV, comma or semicolon.")],
    device: Annotated[str, typer.Option(help="Whose telemetry it is.")],
    time: Annotated[
        str | None, typer.Option(help="The column of time; the first that looks like it otherwise.")
    ] = None,
    speed: Annotated[str, typer.Option(help="How much faster than recorded, or max.")] = "1",
    as_of: Annotated[str, typer.Option(help="Time stamps: now or original.")] = "now",
    ignore: Annotated[str, typer.Option(help="Columns to leave out, separated by commas.")] = "",
    tenant: Annotated[str, typer.Option(help="Whose device it is.")] = "demo",
    mqtt_url: MqttUrl = None,
    as_json: AsJson = False,
) -> None:
    """Send recorded telemetry as if it were live: each column a point.

    Example: bellwether replay pump.csv --device pump-7 --time datetime --speed max --as-of original
    """
    from firmware_sim.connection import Refused, Unreachable
    from firmware_sim.replay import replay as run

    if as_of not in ("now", "original"):
        raise Misconfigured("--as-of is now or original")
    broker = _broker(mqtt_url)
    try:
        report = run(
            files,
            device,
            tenant=tenant,
            time_column=time,
            speed=_speed(speed),
            as_of="now" if as_of == "now" else "original",
            ignore=names(ignore),
            mqtt_url=str(broker),
            username=broker.username,
            password=broker.password,
            trust=broker.trust,
            stop=_stop_event(),
            on_progress=None if as_json else _progress,
        )
    except ValueError as error:
        raise Misconfigured(str(error)) from error
    except (Unreachable, Refused) as error:
        raise Unavailable(str(error)) from error
    tell(report, as_json)


@app.command()
def backfill(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="CSV, comma or semicolon.")],
    device: Annotated[str, typer.Option(help="Whose telemetry it is.")],
    time: Annotated[
        str | None, typer.Option(help="The column of time; the first that looks like it otherwise.")
    ] = None,
    ignore: Annotated[str, typer.Option(help="Columns to leave out, separated by commas.")] = "",
    tenant: Annotated[str, typer.Option(help="Whose device it is.")] = "demo",
    rate: Annotated[float | None, typer.Option(min=1, help="Readings a second, at most.", show_default=False)] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it would touch.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put recorded months into history, past the broker and the detectors, beside a stack that goes on.

    Killed, it goes on where it was. As the database's owner it brings the roll-ups up to date at once, too.

    Example: bellwether backfill 2024.csv 2025.csv --device pump-7 --time datetime --rate 20000
    """
    from bellwether.backfill import Backfill

    settings = settings_of.load()
    try:
        work = Backfill(
            settings.need_database_url(),
            files,
            tenant,
            device,
            time_column=time,
            ignore=names(ignore),
            most_per_s=rate,
            stop=_stop_event(),
            progress=lambda report: None if as_json else console.print(f"{report.readings} readings", end="\r"),
        )
        tell(work.plan() if plan else work.run(), as_json)
    except ValueError as error:
        raise Misconfigured(str(error)) from error


def main() -> None:
    """Run the command; every failure that is foreseen is one line and an exit code."""
    try:
        app()
    except Misconfigured as error:
        end(2, error)
    except (Unavailable, StackError, OSError) as error:
        end(1, error)


def _as_a_role(run: Callable[[settings_of.Settings], None]) -> None:
    log_to_stderr()
    run(settings_of.load())


def _broker(mqtt_url: str | None) -> Any:
    """The broker of the option, else of the settings, else of a stack that runs here."""
    from telemetry import Broker

    settings = settings_of.load()
    if mqtt_url is not None:
        try:
            return Broker.parse(mqtt_url, trust=settings.trust())
        except ValueError as error:
            raise Misconfigured(f"--mqtt-url: {error}") from error
    if settings.mqtt_url is not None:
        return settings.need_broker()
    stack = default_path() / "stack.json"
    if stack.exists():
        body = orjson.loads(stack.read_bytes())
        return Broker.parse(body["mqtt_url"], body["mqtt_username"], body["mqtt_password"])
    raise Misconfigured("no broker: give --mqtt-url, set BELLWETHER_MQTT_URL, or start `bellwether up`")


def _stop_event() -> threading.Event:
    """Set by Ctrl-C or SIGTERM, so that what runs can end cleanly."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise Misconfigured("--speed is a number above 0, or max")
    return speed


def _happening(event: Any) -> str:
    what = event.happening.value
    if event.fault is not None:
        return f"{what}: {event.fault.device} {event.fault.kind.value.replace('_', ' ')}"
    return f"{what}: {event.device}" if event.device else what


def _progress(progress: Any) -> None:
    console.print(
        f"{escape(progress.file)}: {progress.rows} of {progress.rows_total} rows, {progress.readings} readings",
        end="\r",
    )
