"""`bellwether life` on files, and its model at rest."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_life import asked, cut, fleet, trained
from typer.testing import CliRunner

from bellwether.cli import app
from prognosis.life import load, predict, save
from prognosis.life.model_file import FORMAT
from store.errors import Misconfigured

RECORDED = Path(os.environ.get("BELLWETHER_DATA", "../shared/data")) / "CMAPSS"


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["life", *map(str, arguments)], prog_name="bellwether")
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "pumps.life"
    save(path, trained(), {"settings": {"unit": "machine", "cycle": "hours"}, "window": {}, "sha256": {}})
    return path


@pytest.fixture
def today(tmp_path: Path) -> Path:
    path = tmp_path / "today.csv"
    cut(fleet(seed=1), 20).to_csv(path, index=False)
    return path


def test_from_histories_to_a_forecast_and_its_pages(tmp_path: Path, today: Path) -> None:
    train, out = tmp_path / "fleet.parquet", tmp_path / "left.csv"
    fleet().to_parquet(train)
    made = tmp_path / "made.life"
    columns = ("--unit", "machine", "--cycle", "hours")
    told = json.loads(run("fit", train, *columns, "--out", made, "--report", tmp_path / "fit.html", "--json"))
    run("predict", made, today, "--out", out, "--report", tmp_path / "left.html")
    found = pd.read_csv(out)
    assert list(found) == ["unit", "cycle", "rul", "rul_p05", "rul_p95", "p_fail_30", "reason"]
    forecast = predict(trained(), asked())
    np.testing.assert_allclose(found["rul"], forecast.rul, atol=0.006)
    np.testing.assert_allclose(found["p_fail_30"], forecast.p_fail, atol=6e-5)
    assert found["unit"].tolist() == list(asked().units)
    assert told["origin"]["window"]["units"] == told["accuracy"]["units"] == 20
    assert len(told["origin"]["sha256"]["data"]) == 64
    for page in ("fit.html", "left.html"):
        shown = (tmp_path / page).read_text()
        assert "<svg" in shown
        assert "Alpha-lambda: the share of machines" in shown
    assert "m03" in (tmp_path / "left.html").read_text()


def test_every_row_and_another_time(tmp_path: Path, model: Path, today: Path) -> None:
    out = tmp_path / "left.csv"
    run("predict", model, today, "--out", out, "--every", "--within", "10")
    found = pd.read_csv(out)
    assert len(found) == len(asked())
    assert "p_fail_10" in found


def test_no_number_is_told_of_the_unknown(tmp_path: Path, model: Path) -> None:
    hot, out = tmp_path / "hot.csv", tmp_path / "left.csv"
    frame = cut(fleet(seed=1), 20)
    frame.assign(heat=frame["heat"] + 50).to_csv(hot, index=False)
    run("predict", model, hot, "--out", out)
    found = pd.read_csv(out)
    assert found[["rul", "rul_p05", "rul_p95", "p_fail_30"]].isna().all(axis=None)
    assert found["reason"].str.startswith("heat is far outside").all()


def test_a_model_comes_back_as_it_was(model: Path) -> None:
    again, _ = load(model)
    one, other = predict(again, asked()), predict(trained(), asked())
    for name in ("rul", "rul_p05", "rul_p95", "p_fail"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert json.dumps(again.accuracy.as_json()) == json.dumps(trained().accuracy.as_json())
    assert again.lives == trained().lives


def test_another_version_is_refused_in_a_line(model: Path) -> None:
    with np.load(model) as stored:
        arrays = dict(stored)
    head = json.loads(arrays["head"].tobytes()) | {"format": "bellwether life 99"}
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    with model.open("wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(ValueError, match=f"bellwether life 99, this program reads {FORMAT}: fit it anew"):
        load(model)


class Evil:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("poisoned",))


def test_a_poisoned_model_runs_nothing(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with np.load(model) as stored:
        arrays = dict(stored)
    arrays["head"] = np.array([Evil()], dtype=object)
    with model.open("wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(ValueError, match="no model of remaining life"):
        load(model)
    assert not (tmp_path / "poisoned").exists()


@pytest.mark.parametrize("harm", ["cut", "empty", "text", "missing", "shape", "bomb"])
def test_a_damaged_model_is_refused(model: Path, harm: str) -> None:
    whole = model.read_bytes()
    with np.load(model) as stored:
        arrays = dict(stored)
    if harm == "bomb":
        with zipfile.ZipFile(model, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("head.npy", "w") as member:
            for _ in range(300):
                member.write(bytes(1024**2))
    elif harm in ("missing", "shape"):
        arrays.pop("weight1") if harm == "missing" else arrays.update({"wear.mean": arrays["wear.mean"][:, :1]})
        with model.open("wb") as file:
            np.savez(file, **arrays)
    else:
        model.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"unit,cycle\n"}[harm])
    with pytest.raises(ValueError, match="no model of remaining life, or a damaged one"):
        load(model)


def test_wrong_usage_is_a_line(tmp_path: Path, today: Path) -> None:
    with pytest.raises(Misconfigured, match="no column age"):
        run("fit", today, "--unit", "machine", "--cycle", "age", "--out", tmp_path / "m.life")
    with pytest.raises(Misconfigured, match="no model of remaining life"):
        run("predict", today, today, "--out", tmp_path / "left.csv")


@pytest.mark.skipif(not RECORDED.exists(), reason="no recordings: set BELLWETHER_DATA")
def test_turbofans_are_foretold(tmp_path: Path) -> None:
    """C-MAPSS FD001, both sides at 125, learnt from a third of its engines: all of them are the bench's matter."""
    third = tmp_path / "train.txt"
    lines = (RECORDED / "train_FD001.txt").read_text().splitlines()
    third.write_text("\n".join(line for line in lines if int(line.split()[0]) % 3 == 0))
    made, out = tmp_path / "turbofan.life", tmp_path / "left.csv"
    run("fit", third, "--unit", "c1", "--cycle", "c2", "--out", made)
    run("predict", made, RECORDED / "test_FD001.txt", "--out", out)
    found, left = pd.read_csv(out), np.loadtxt(RECORDED / "RUL_FD001.txt")
    assert found["unit"].tolist() == list(range(1, 101))
    error = np.minimum(found["rul"], 125) - np.minimum(left, 125)
    assert np.sqrt((error**2).mean()) < 13
    assert 0.82 <= ((found["rul_p05"] <= left) & (left <= found["rul_p95"])).mean() <= 0.97
    assert np.mean((found["p_fail_30"] - (left <= 30)) ** 2) < 0.03
