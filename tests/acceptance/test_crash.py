"""Ingest killed in the middle of a replay, as a power cut would: every reading stored once, one ticket."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pandas as pd
import pytest
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


@pytest.mark.timeout(600)
def test_killed_in_the_middle_of_a_replay(stack: RunningStack, recordings: Path, tmp_path: Path) -> None:
    file = recordings / "SKAB/valve1/5.csv"
    frame = pd.read_csv(file, sep=";").drop(columns=list(LABELS))
    points = [column for column in frame.columns if column != "datetime"]
    readings = len(frame) * len(points)
    stack.replay(file, "crash-never", LABELS)
    # Each kill has a part of the recording to itself: ingest may take longer to come back than the rest would last.
    head, *rows = file.read_text().splitlines()
    for kill in range(KILLS):
        part = rows[kill * len(rows) // KILLS : (kill + 1) * len(rows) // KILLS]
        (tmp_path / "part.csv").write_text("\n".join([head, *part]))
        enough = stored(stack, "crash-twice") + len(part) * len(points) // 4
        replay = stack.begin_replay(tmp_path / "part.csv", "crash-twice", LABELS, speed=100)
        until(lambda enough=enough: stored(stack, "crash-twice") > enough)
        before = stack.pid("ingest")
        os.kill(before, signal.SIGKILL)
        assert replay.poll() is None, "the replay must outlast the kill"
        until(lambda before=before: stack.pid("ingest") not in (0, before))
        assert replay.wait(240) == 0
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
