"""`bellwether life risk` on files: what `prognosis.hazard` says of each machine, by all others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_hazard import FLEET, START_US
from typer.testing import CliRunner

from bellwether.cli import app
from prognosis.hazard import History, any_risk, fit
from store.errors import Misconfigured


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["life", "risk", *map(str, arguments)], prog_name="bellwether")
    if done.exception is not None:
        raise done.exception
    return done.output


def written(folder: Path, fleet: list[History]) -> list[object]:
    """A fleet as somebody would have it, in files; what the command is given."""
    rows = [
        pd.DataFrame({"at": one.time_us.astype("datetime64[us]"), "machine": number, "volt": one.values[:, 0],
                      "vibration": one.values[:, 1]})
        for number, one in enumerate(fleet)
    ]  # fmt: skip
    pd.concat(rows).sample(frac=1.0, random_state=1).to_csv(folder / "telemetry.csv", index=False)
    for name in ("failures", "services"):
        told = [
            (number, np.datetime64(int(at), "us"), what)
            for number, one in enumerate(fleet)
            for what, times in getattr(one, name).items()
            for at in times
        ]
        pd.DataFrame(told, columns=["machine", "at", "part"]).to_csv(folder / f"{name}.csv", index=False)
    records = ("--failures", folder / "failures.csv", "--services", folder / "services.csv")
    return [folder / "telemetry.csv", *records, "--unit", "machine", "--time", "at", "--out", folder / "risk.csv"]


def test_each_machine_is_judged_by_a_model_of_the_others(tmp_path: Path) -> None:
    fleet = FLEET[2:8]
    told = json.loads(run(*written(tmp_path, fleet), "--json"))
    assert told["failures"] == 4
    assert told["warned"] >= 3
    assert told["needless_a_month"] <= 1.0
    found = pd.read_csv(tmp_path / "risk.csv")
    first = found[found["machine"] == 0]
    np.testing.assert_allclose(first["p_fail"], any_risk(fit(fleet[1:]).risk(fleet[0])), atol=2e-5)
    opened = pd.to_datetime(first.loc[first["ticket"] == 1, "at"]).to_numpy("datetime64[us]").astype(np.int64)
    assert len(opened)
    assert (opened >= START_US).all()


def test_what_cannot_be_read_or_learnt_is_said(tmp_path: Path) -> None:
    given = written(tmp_path, FLEET[6:9])
    with pytest.raises(Misconfigured, match="no component ever failed"):
        run(*given)
    with pytest.raises(Misconfigured, match="three are needed"):
        run(*written(tmp_path, FLEET[:2]))
    (tmp_path / "failures.csv").write_text("machine,at,part,why\n")
    with pytest.raises(Misconfigured, match="one column more"):
        run(*given)
