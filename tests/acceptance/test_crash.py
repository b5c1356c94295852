"""Ingest killed in the middle of a replay, as a power cut would: every reading stored once, one ticket."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pandas as pd
from running import RunningStack
from waiting import until

LABELS = ("anomaly", "changepoint")
KILLS = 2


def stored(stack: RunningStack, device: str) -> int:
    with stack.owner() as conn:
        row = conn.execute(
            "SELECT count(*) FROM readings r JOIN streams s ON s.id = r.stream_id WHERE s.device = %s", [device]
        ).fetchone()
    return int(row[0]) if row else 0


def test_killed_in_the_middle_of_a_replay(stack: RunningStack, recordings: Path) -> None:
    file = recordings / "SKAB/valve1/5.csv"
    frame = pd.read_csv(file, sep=";").drop(columns=list(LABELS))
    points = [column for column in frame.columns if column != "datetime"]
    readings = len(frame) * len(points)
    stack.replay(file, "crash-never", LABELS)
    replay = stack.begin_replay(file, "crash-twice", LABELS, speed=80)
    for kill in range(1, KILLS + 1):
        until(lambda kill=kill: stored(stack, "crash-twice") > kill * readings // (KILLS + 1), 60)
        before = stack.pid("ingest")
        os.kill(before, signal.SIGKILL)
        until(lambda before=before: stack.pid("ingest") not in (0, before))
    assert replay.poll() is None, "the replay must outlast the kills"
    assert replay.wait(120) == 0
    stack.until_settled({"crash-never": readings, "crash-twice": readings})

    with stack.owner() as conn:
        rows = conn.execute(
            "SELECT s.point, array_agg(r.value ORDER BY r.time) FROM readings r JOIN streams s ON s.id = r.stream_id"
            " WHERE s.device = 'crash-twice' GROUP BY s.point"
        ).fetchall()
    assert dict(rows) == {point: frame[point].tolist() for point in points}
    (unbroken,), (killed,) = stack.tickets("crash-never"), stack.tickets("crash-twice")
    assert {name: killed[name] for name in ("since", "leading_point", "fault")} == {
        name: unbroken[name] for name in ("since", "leading_point", "fault")
    }
