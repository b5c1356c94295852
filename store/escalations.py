"""Alarms and tickets on their way along the chain: each turn tells one step, and in the same transaction says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row

from store import on_call
from store.connection import Session
from store.messages import channels
from store.messages.queue import MOST_TOLD
from store.queries import queries
from store.transactions import Transaction
from tickets.chain import WAITING_ALARM, WAITING_TICKET, Chain, Step, Whom

# Too low: a round is many statements. Too high: a burst of alarms is one long transaction.
BATCH = 50
_NOBODY = "nobody has a channel"

_SQL = queries("escalations")
_MESSAGES = queries("messages")


@dataclass(frozen=True, slots=True)
class Escalation:
    """One thing's way, and what is said of it. `is_told_otherwise`: an alarm of this ticket's is on its way too.

    Of a flood the alarm is its first out, and `alarms` how many were raised at its `site` since it began.
    """

    id: int
    tenant: str
    alarm_id: UUID | None
    ticket_id: UUID | None
    flood_id: UUID | None
    round: int
    step: int
    site: str
    device: str
    level: str
    said: str
    fault: str
    began_at: datetime
    alarms: int
    is_told_otherwise: bool


@dataclass(frozen=True, slots=True)
class Running:
    """What is on its way: the place that is told at `next_at`. Of a flood the alarm is its first out."""

    id: int
    alarm_id: UUID | None
    ticket_id: UUID | None
    flood_id: UUID | None
    site: str
    device: str
    level: str
    said: str
    begun_at: datetime
    round: int
    step: int
    next_at: datetime


def running(conn: Transaction, limit: int) -> list[Running]:
    """What nobody has taken yet, newest first."""
    with conn.cursor(row_factory=class_row(Running)) as cursor:
        return cursor.execute(_SQL["running"], {"limit": limit}).fetchall()


def end_taken(conn: Session) -> int:
    """Stop those that somebody has taken meanwhile; how many."""
    ended = conn.execute(_SQL["end_taken"], {"alarm": WAITING_ALARM, "ticket": list(WAITING_TICKET)}).fetchall()
    if ended:
        conn.execute(_SQL["drop_waiting"], {"ids": [number for (number,) in ended]})
    return len(ended)


def hurry(conn: Session, escalation_id: int) -> None:
    """Where nobody of the step told last can be reached, the next has its turn now."""
    conn.execute(_SQL["hurry"], {"id": escalation_id})


def move(conn: Session, now: datetime) -> int:
    """Tell the next step of those whose turn it is; how many had one."""
    with conn.cursor(row_factory=class_row(Escalation)) as cursor:
        due = cursor.execute(_SQL["due"], {"limit": BATCH}).fetchall()
    for one in due:
        _move(conn, one, now)
    return len(due)


def _move(conn: Session, one: Escalation, now: datetime) -> None:
    if one.is_told_otherwise:
        conn.execute(_SQL["end"], {"id": one.id, "because": "told by its alarm"})
        return
    if not conn.execute(_SQL["anybody"], {"tenant": one.tenant}).fetchall()[0][0]:
        # Once, until somebody has seen it: a house that is not set up yet needs no line for each alarm.
        _queue(conn, one, one.round, one.step, once=_NOBODY, error=f"{_NOBODY}: alarms reach nobody outside")
        conn.execute(_SQL["end"], {"id": one.id, "because": _NOBODY})
        return
    chain, _ = on_call.chain(conn, one.tenant)
    for round_, step in _places(chain, one):
        if _tell(conn, one, chain, round_, step, now):
            break
    else:
        conn.execute(_SQL["end"], {"id": one.id, "because": "the chain has ended"})


def _places(chain: Chain, one: Escalation) -> Iterator[tuple[int, int]]:
    """From where it stands to the end of the round. A chain that has become shorter ends early."""
    place: tuple[int, int] | None = (one.round, one.step)
    while place is not None and place[0] < chain.rounds and place[1] < len(chain.steps):
        yield place
        place = chain.after(*place)


def _tell(conn: Session, one: Escalation, chain: Chain, round_: int, number: int, now: datetime) -> bool:
    """Tell one step; whether the next has to wait. The round after one in which nobody was reached waits too."""
    step = chain.steps[number]
    reached = _tell_people(conn, one, step, round_, number, now)
    after = chain.after(round_, number)
    if not reached and after is not None and after[0] == round_:
        return False
    next_round, next_step = after or (round_ + 1, 0)
    next_at = now + timedelta(minutes=step.wait_min)
    conn.execute(_SQL["move"], {"id": one.id, "round": next_round, "step": next_step, "next_at": next_at})
    return True


def _tell_people(conn: Session, one: Escalation, step: Step, round_: int, number: int, now: datetime) -> bool:
    """A message for each channel of each person; whether one of them can go now."""
    login = on_call.rota(conn, one.tenant, now)[0].on_call(now) if step.whom is Whom.ON_CALL else step.who
    named = {"login": "", "role": login} if step.whom is Whom.ROLE else {"login": login, "role": ""}
    people = conn.execute(_MESSAGES["people"], {"tenant": one.tenant, "limit": MOST_TOLD, **named}).fetchall()
    if not people:
        why = "nobody is on call" if not login else f"there is no {login} who may sign in"
        _queue(conn, one, round_, number, login=login if step.whom is Whom.PERSON else "", error=why)
    reached = False
    for whom, channel_id, channel in people:
        if channel_id is None:
            _queue(conn, one, round_, number, login=whom, error=f"{whom} has no channel that is switched on")
            continue
        held_until = None
        if step.whom is not Whom.ON_CALL:
            urgent = one.level in ("urgent", "critical")
            held_until = channels.preferences(conn, one.tenant, whom).quiet_until(now, urgent=urgent)
        reached = reached or held_until is None
        told = {"login": whom, "channel_id": channel_id, "channel": channel, "held_until": held_until}
        _queue(conn, one, round_, number, is_duty=step.whom is Whom.ON_CALL, **told)
    return reached


def _queue(
    conn: Session,
    one: Escalation,
    round_: int,
    step: int,
    *,
    is_duty: bool = False,
    login: str = "",
    channel_id: UUID | None = None,
    channel: str = "",
    held_until: datetime | None = None,
    once: str | None = None,
    error: str = "",
) -> None:
    about = "flood" if one.flood_id else "alarm" if one.alarm_id else "ticket"
    head, said = _words(one)
    conn.execute(
        _MESSAGES["queue_for_person"],
        {
            "tenant": one.tenant,
            "kind": f"{'on_call' if is_duty else 'chain'}.{about}",
            "login": login,
            "channel_id": channel_id,
            "channel": channel,
            "urgent": one.level in ("urgent", "critical"),
            "subject": f"{one.level.upper()}: {head}"[:200],
            "body": said,
            "alarm_id": one.alarm_id,
            "ticket_id": one.ticket_id,
            "escalation": one.id,
            "round": round_,
            "step": step,
            "page": f"/alarms#flood-{one.flood_id}" if one.flood_id else "",
            "once": once,
            "held_until": held_until,
            "error": error,
        },
    )


def _words(one: Escalation) -> tuple[str, str]:
    """The head without its level, and what is said."""
    head, about = f"{one.device}, {one.said}", [one.said, ""]
    taking = "Acknowledge the alarm" if one.alarm_id else "Accept the ticket"
    if one.flood_id:
        where = one.site or "machines without a site"
        head = f"flood at {where}, {one.alarms} alarms, first out {one.device}: {one.said}"
        about = [f"{one.alarms} alarms so far at {where}. The first of them:", one.said, ""]
        taking = "Acknowledge one of its alarms"
    about += [f"Machine: {one.device}", f"Fault: {one.fault}", f"Began: {one.began_at:%Y-%m-%d %H:%M} UTC"]
    about += ["", f"{taking} in Bellwether; until somebody does, the next of the chain is told."]
    return head, "\n".join(about)
