"""`bellwether vibration`: from a file to a fault, and one clear line where the file or the question is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile
from shaking import Shaft, faulty
from typer.testing import CliRunner

from bellwether.cli import app
from detectors.vibration import named
from detectors.vibration.wave_files import read_wave
from store.errors import Misconfigured

SHAFT = Shaft(1480.0, 12_800.0, 1.5)
OUTER = faulty("outer_race", SHAFT, named("6205"))
ASKED = ["--rate", "12800", "--rpm", "1480", "--bearing", "SKF 6205"]
CWRU = Path(os.environ.get("BELLWETHER_DATA", "../shared/data")) / "CWRU"


def told(path: Path, *options: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["vibration", str(path), *options, "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def refused(path: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["vibration", str(path), *options])
    assert isinstance(result.exception, Misconfigured), (result.output, result.exception)
    line = str(result.exception)
    assert "\n" not in line
    return line


def written(folder: Path, kind: str) -> Path:
    path = folder / f"block.{kind}"
    match kind:
        case "npy":
            np.save(path, OUTER)
        case "npz":
            np.savez(path, DE=OUTER.astype(np.float32), rpm=np.array([[1480]]))
        case "wav":
            wavfile.write(path, 12_800, (OUTER / 16.0 * 32768).astype(np.int16))
        case "parquet":
            pd.DataFrame({"x": OUTER}).to_parquet(path)
        case "csv":
            pd.DataFrame({"note": "a", "x": OUTER}).to_csv(path, index=False)
        case "txt":
            np.savetxt(path, OUTER)
    return path


@pytest.mark.parametrize("kind", ["npy", "npz", "wav", "csv", "txt", "parquet"])
def test_every_kind_of_file_tells_the_same(tmp_path: Path, kind: str) -> None:
    found = told(written(tmp_path, kind), *ASKED)
    assert found["fault"] == "outer_race"
    assert found["evidence"][0]["line"] == "BPFO"
    assert {line["line"] for line in found["envelope"]["lines"]} == {"BPFO", "BPFI", "2 BSF", "FTF"}
    assert found["zone"] is None
    assert found["kurtosis"] > 3.0


def test_a_sound_file_says_its_rate_itself(tmp_path: Path) -> None:
    assert told(written(tmp_path, "wav"), *ASKED[2:])["rate_hz"] == 12_800.0


def test_a_bearing_is_given_by_name_by_orders_by_frequencies_or_by_geometry(tmp_path: Path) -> None:
    path, asked = written(tmp_path, "npy"), ASKED[:4]
    bearing = named("6205")
    assert bearing.outer is not None
    hz = f"{bearing.outer * SHAFT.hz}Hz"
    for given in (
        ["--bpfo", "3.585", "--bpfi", "5.415", "--bsf", "2.357", "--ftf", "0.3983"],
        ["--bpfo", hz],
        ["--balls", "9", "--ball-mm", "7.94", "--pitch-mm", "39.04"],
    ):
        assert told(path, *asked, *given)["fault"] == "outer_race"
    assert told(path, *asked)["fault"] == "none"


def test_the_zone_takes_group_and_support_and_says_its_table(tmp_path: Path) -> None:
    found = told(written(tmp_path, "npy"), *ASKED, "--group", "2", "--support", "rigid")
    assert found["zone"]["letter"] == "A"
    assert found["zone"]["limits_mm_s"] == [1.4, 2.8, 4.5]
    assert "20816-3" in found["zone"]["table"]


def test_units_are_converted(tmp_path: Path) -> None:
    path = tmp_path / "metric.npy"
    np.save(path, OUTER * 9.80665)
    ours, theirs = told(written(tmp_path, "npy"), *ASKED), told(path, *ASKED, "--unit", "m/s2")
    assert theirs["velocity_rms_mm_s"] == pytest.approx(ours["velocity_rms_mm_s"])
    assert theirs["fault"] == ours["fault"]


def test_the_page_shows_the_lines_and_fetches_nothing(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told(written(tmp_path, "npy"), *ASKED, "--report", str(page))
    text = page.read_text()
    assert text.count("<svg") == 3
    assert "outer_race" in text
    assert "BPFO" in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_people_read_lines(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["vibration", str(written(tmp_path, "npy")), *ASKED])
    assert result.exit_code == 0
    assert "fault: outer_race" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rate", "0", "--rpm", "1480"], "--rate 0"),
        (["--rpm", "1480"], "give --rate"),
        (["--rate", "12800", "--rpm", "-1"], "--rpm -1"),
        (["--rate", "nan", "--rpm", "1480"], "--rate nan"),
        ([*ASKED[:5], "SKF 6295"], "6205"),
        ([*ASKED, "--bpfo", "3.5"], "one of them"),
        ([*ASKED[:4], "--bpfo", "fast"], "'fast'"),
        (["--rate", "12800", "--bpfo", "88Hz"], "--rpm too"),
        ([*ASKED[:4], "--balls", "9"], "--pitch-mm"),
        ([*ASKED, "--unit", "bar"], "'bar'"),
        ([*ASKED, "--group", "3", "--support", "rigid"], "--group 3"),
        ([*ASKED, "--group", "2"], "both"),
        ([*ASKED, "--support", "soft", "--group", "2"], "soft"),
        ([*ASKED, "--column", "y"], "no channel 'y'"),
    ],
)
def test_a_wrong_question_gets_one_clear_line(tmp_path: Path, options: list[str], said: str) -> None:
    assert said in refused(written(tmp_path, "npy"), *options)


def test_a_wrong_file_gets_one_clear_line(tmp_path: Path) -> None:
    assert "there is no file" in refused(tmp_path / "none.npy", *ASKED)
    (tmp_path / "text.npy").write_text("no array")
    assert "text.npy" in refused(tmp_path / "text.npy", *ASKED)
    (tmp_path / "empty.csv").write_text("")
    assert "empty.csv" in refused(tmp_path / "empty.csv", *ASKED)
    (tmp_path / "words.csv").write_text("a,b\nx,y\n")
    assert "no column of numbers" in refused(tmp_path / "words.csv", *ASKED)
    (tmp_path / "block.mat").write_bytes(b"")
    assert ".wav" in refused(tmp_path / "block.mat", *ASKED)
    np.save(tmp_path / "gap.npy", np.where(np.arange(len(OUTER)) == 7, np.nan, OUTER))
    assert "value 8" in refused(tmp_path / "gap.npy", *ASKED)
    np.save(tmp_path / "short.npy", OUTER[:100])
    assert "100 samples" in refused(tmp_path / "short.npy", *ASKED)
    np.save(tmp_path / "two.npy", np.stack([OUTER, OUTER]))
    assert "which channel: 1, 2" in refused(tmp_path / "two.npy", *ASKED)
    np.save(tmp_path / "cube.npy", np.zeros((70, 80, 90)))
    assert "(70, 80, 90)" in refused(tmp_path / "cube.npy", *ASKED)


def test_a_channel_is_chosen_by_name_or_number(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    pd.DataFrame({"left": OUTER, "right": 2.0 * OUTER}).to_csv(path, sep=";", index=False)
    assert np.allclose(read_wave(path, "right").values, 2.0 * OUTER)
    assert np.allclose(read_wave(path, "2").values, 2.0 * OUTER)
    np.save(tmp_path / "two.npy", np.stack([OUTER, 2.0 * OUTER], axis=1))
    assert np.allclose(read_wave(tmp_path / "two.npy", "2").values, 2.0 * OUTER)


@pytest.mark.skipif(not CWRU.is_dir(), reason=f"no recordings at {CWRU}")
def test_recorded_bearings_are_named_by_their_fault() -> None:
    wanted = {"Normal": "none", "IR": "inner_race", "B": "ball", "OR@6": "outer_race"}
    paths = sorted(CWRU.glob("1797_*.npz"))
    assert paths
    for path in paths:
        asked = ["--rate", "48000", "--rpm", "1797", "--bearing", "SKF 6205"]
        assert told(path, *asked)["fault"] == wanted[path.stem.split("_")[1]]
