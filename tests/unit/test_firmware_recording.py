"""Recorded files: separators, times, what is a point, and what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from firmware_sim.recording import Recording, Slice

RECORDINGS = Path(os.environ.get("BELLWETHER_DATA", Path(__file__).parents[2] / "../shared/data"))


def read(path: Path, text: str, **options: object) -> Slice:
    path.write_text(text)
    (part,) = Recording.open(path, **options).slices()  # type: ignore[arg-type]
    return part


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators(tmp_path: Path, separator: str) -> None:
    lines = ["datetime,Volume Flow RateRMS,Current", "2020-02-08 13:30:47,122.5,2.25", "2020-02-08 13:30:48,,2.5"]
    part = read(tmp_path / "r.csv", "\n".join(lines).replace(",", separator))
    assert part.points == ("Volume Flow RateRMS", "Current")
    assert part.time_us.tolist() == [1_581_168_647_000_000, 1_581_168_648_000_000]
    np.testing.assert_array_equal(part.values, [[122.5, 2.25], [np.nan, 2.5]])


@pytest.mark.parametrize(
    ("cell", "time_us"),
    [
        ("2020-02-08T13:30:47.5Z", 1_581_168_647_500_000),
        ("2020-02-08 15:30:47+02:00", 1_581_168_647_000_000),
        ("2020-02-08", 1_581_120_000_000_000),
        ("1581168647", 1_581_168_647_000_000),
        ("1581168647.25", 1_581_168_647_250_000),
        ("1581168647123", 1_581_168_647_123_000),
        ("1581168647123456", 1_581_168_647_123_456),
        ("0.5", 500_000),
    ],
)
def test_times(tmp_path: Path, cell: str, time_us: int) -> None:
    assert read(tmp_path / "r.csv", f"time,a\n{cell},1\n").time_us.tolist() == [time_us]


def test_a_format_reads_what_is_no_iso_time(tmp_path: Path) -> None:
    text = "when,a\n3/11/2017 0:01,1\n"
    with pytest.raises(ValueError, match=r"'3/11/2017 0:01' is no time; give its format"):
        read(tmp_path / "r.csv", text)
    assert read(tmp_path / "r.csv", text, time_format="%m/%d/%Y %H:%M").time_us.tolist() == [1_489_190_460_000_000]


def test_repeated_and_backward_times_stay_as_they_are(tmp_path: Path) -> None:
    part = read(tmp_path / "r.csv", "ts,a\n1581168647,1\n1581168647,2\n1581168640,3\n")
    assert np.diff(part.time_us).tolist() == [0, -7_000_000]
    assert part.values[:, 0].tolist() == [1, 2, 3]


def test_rows_without_a_readable_time_are_counted_and_left_out(tmp_path: Path) -> None:
    part = read(tmp_path / "r.csv", "time,a\n2020-02-08 13:30:47,1\nsoon,2\n,3\n")
    assert part.values[:, 0].tolist() == [1]
    assert part.unreadable == 2


def test_what_is_no_number_is_missing(tmp_path: Path) -> None:
    part = read(tmp_path / "r.csv", "time,a,b\n1581168647,null,inf\n1581168648,x,3\n")
    np.testing.assert_array_equal(part.values, [[np.nan, np.nan], [np.nan, 3.0]])


def test_the_time_is_found_by_name_else_it_is_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(",a,Timestamp\n0,1,1581168647\n")
    assert Recording.open(path).time_column == "Timestamp"
    assert Recording.open(path).points == ("a",)
    path.write_text("when,a\n1581168647,1\n")
    assert Recording.open(path).time_column == "when"


def test_points_and_ignore_choose(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("time,a,b,c\n1581168647,1,2,3\n")
    assert Recording.open(path, points=["c", "a"]).points == ("a", "c")
    assert Recording.open(path, ignore=["b"]).points == ("a", "c")
    with pytest.raises(ValueError, match="no column anomaly; it has time, a, b, c"):
        Recording.open(path, ignore=["anomaly"])
    with pytest.raises(ValueError, match="no column when"):
        Recording.open(path, "when")
    with pytest.raises(ValueError, match="no column left"):
        Recording.open(path, ignore=["a", "b", "c"])


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "r.csv").touch()
    with pytest.raises(ValueError, match=r"r\.csv is empty"):
        Recording.open(tmp_path / "r.csv")


def test_a_file_comes_in_slices_that_add_up(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("time,a\n" + "".join(f"{1581168647 + i},{i}\n" for i in range(25)))
    recording = Recording.open(path)
    parts = list(recording.slices(rows=10))
    assert [len(part) for part in parts] == [10, 10, 5]
    assert np.concatenate([part.values[:, 0] for part in parts]).tolist() == list(range(25))
    assert recording.count_rows() == 25


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings: set BELLWETHER_DATA")
@pytest.mark.parametrize(
    ("name", "rows", "points"),
    [
        ("SKAB/anomaly-free/anomaly-free.csv", 9405, 8),
        ("AZURE_PDM/PdM_telemetry.csv", 25_920, 5),
        ("NAB/data/realTweets/Twitter_volume_IBM.csv", 15_893, 1),
    ],
)
def test_real_recordings_are_read_whole(name: str, rows: int, points: int) -> None:
    recording = Recording.open(RECORDINGS / name)
    parts = list(recording.slices())
    assert sum(len(part) for part in parts) == rows == recording.count_rows()
    assert len(recording.points) == points
    assert all(np.isfinite(part.values).all() for part in parts)
