"""What becomes of messages: mappings tried, the ledger recounted, and what could not be stored, to be played again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bellwether import settings as settings_of
from bellwether.console import AsJson, end, print_json, say
from store.errors import Misconfigured, Unavailable

mapping = typer.Typer(
    help="Devices that speak another language.\n\nExample: bellwether mapping test --topic a/b --payload message.json",
    no_args_is_help=True,
    rich_markup_mode=None,
)
ledger = typer.Typer(
    help="What became of every message.\n\nExample: bellwether ledger verify",
    no_args_is_help=True,
    rich_markup_mode=None,
)
rejects = typer.Typer(
    help="What could not be stored: look at it, play it again.\n\nExample: bellwether rejects list --since 36h",
    no_args_is_help=True,
    rich_markup_mode=None,
)

OfTenant = Annotated[str | None, typer.Option(help="Only this tenant's; '' for nobody's.", show_default=False)]
OfDevice = Annotated[str | None, typer.Option(help="Only this device's.", show_default=False)]
OfReason = Annotated[str | None, typer.Option(help="Only those with this in their reason.", show_default=False)]
Since = Annotated[str | None, typer.Option(help="Arrived then or later: RFC 3339, or 90m, 36h, 7d ago.")]
Until = Annotated[str | None, typer.Option(help="Arrived before then, likewise.")]


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
