"""Telemetry from elsewhere: a simulated fleet, recordings replayed as if they were live or put into history."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn
from uuid import UUID

import orjson
import typer
from rich.markup import escape

from bellwether import settings as settings_of
from bellwether.console import AsJson, as_misconfigured, console, names, print_json, say, tell
from bellwether.stack.folder import default_path
from firmware_sim.encoding import Form
from store.errors import Misconfigured, NotFound, Unavailable

MqttUrl = Annotated[str | None, typer.Option(help="mqtt://user:password@host:1883, or mqtts:// for TLS.")]
Recordings = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="CSV, comma or semicolon.")]
Played = Annotated[
    list[Path] | None, typer.Argument(exists=True, dir_okay=False, help="CSV, comma or semicolon.", show_default=False)
]
Device = Annotated[str, typer.Option(help="Whose telemetry it is.")]
TimeColumn = Annotated[str | None, typer.Option(help="The column of time; the first that looks like it otherwise.")]
Ignored = Annotated[str, typer.Option(help="Columns to leave out, separated by commas.")]
Tenant = Annotated[str, typer.Option(help="Whose device it is.")]


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
    from firmware_sim.fleet import simulate as run

    broker = _broker(mqtt_url)
    if sparkplug is not None:
        if speed != 1.0 or history or truth or buffer or waveforms:
            raise Misconfigured("--sparkplug: no --speed, --history, --truth, --buffer or --waveforms with it")
        tell(_behind_an_edge_node(broker, sparkplug, devices, rate, faults, for_s, seed, tenant), as_json)
        return
    with _in_our_words():
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
    from firmware_sim.scenario import Scenario
    from firmware_sim.sparkplug_fleet import simulate as run

    with _in_our_words():
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


def demo_fleet(state: Annotated[Path, typer.Option()], speed: Annotated[float, typer.Option(min=1)] = 1.0) -> None:
    """The fleet of the demonstration: what `bellwether demo` starts beside the stack."""
    from firmware_sim.demo import run_demo

    broker = _broker(None)
    run_demo(state, str(broker), broker.username, broker.password, trust=broker.trust, speed=speed, stop=_stop_event())


def replay(
    files: Played = None,
    device: Annotated[str, typer.Option(help="Whose telemetry it is.", show_default=False)] = "",
    alarm: Annotated[
        UUID | None,
        typer.Option(help="No files: the score of this alarm again, from what is stored.", show_default=False),
    ] = None,
    time: TimeColumn = None,
    speed: Annotated[str, typer.Option(help="How much faster than recorded, or max.")] = "1",
    as_of: Annotated[str, typer.Option(help="Time stamps: now or original.")] = "now",
    ignore: Ignored = "",
    tenant: Tenant = "demo",
    mqtt_url: MqttUrl = None,
    as_json: AsJson = False,
) -> None:
    """Send recorded telemetry as if it were live, each column a point; or score a stored alarm again.

    Of an alarm: exit 0 where the score is the same to 1e-9, 1 where it is not, 2 where it cannot be found again.

    Example: bellwether replay pump.csv --device pump-7 --time datetime --speed max --as-of original
    Example: bellwether replay --alarm 3f1c2f5e-8f0e-5c3a-9a55-0d3c1f6b2a11
    """
    if alarm is not None:
        if files or device:
            raise Misconfigured("--alarm: no files and no --device with it")
        replay_alarm(alarm, as_json)
    if not files or not device:
        raise Misconfigured("files and --device, or --alarm")
    from firmware_sim.replay import replay as run

    if as_of not in ("now", "original"):
        raise Misconfigured("--as-of is now or original")
    broker = _broker(mqtt_url)
    with _in_our_words():
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
    tell(report, as_json)


def replay_alarm(alarm: UUID, as_json: bool) -> NoReturn:
    """Play one alarm, say what came of it, and end."""
    from bellwether.alarm_replay import EXIT, line, replayed
    from bellwether.audit import snapshot

    try:
        with snapshot(settings_of.load()) as conn:
            found = replayed(conn, alarm)
    except NotFound as error:
        raise Misconfigured(f"--alarm: {error}") from error
    if as_json:
        print_json(asdict(found))
    else:
        say(line(found))
    raise typer.Exit(EXIT[found.outcome])


def backfill(
    files: Recordings,
    device: Device,
    time: TimeColumn = None,
    ignore: Ignored = "",
    tenant: Tenant = "demo",
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
    with as_misconfigured():
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


@contextmanager
def _in_our_words() -> Iterator[None]:
    """What a device complains of, as the command's errors."""
    from firmware_sim.connection import Refused, Unreachable

    try:
        with as_misconfigured():
            yield
    except (Unreachable, Refused) as error:
        raise Unavailable(str(error)) from error


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
