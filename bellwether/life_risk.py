"""`bellwether life risk`: which machine of a fleet fails within two days, from telemetry and a record of services."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwether.console import AsJson, as_misconfigured, print_json, say

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from prognosis.hazard import History

Record = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="CSV: machine, time, and what.")]
_MONTH_US = 30.4 * 86_400_000_000


def risk(
    telemetry: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV: machine, time, channels.")],
    failures: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="CSV: machine, time, what failed.")],
    unit: Annotated[str, typer.Option(help="The column that names the machine, in every file.")],
    time: Annotated[str, typer.Option(help="The column of the time, in every file.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="Where the CSV goes.")],
    services: Record = None,
    events: Record = None,
    needless: Annotated[float, typer.Option(min=0.0, help="Needless tickets a machine and month.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Say row by row how probable it is that a machine fails within two days, and where a ticket would be opened.

    Each machine by a model and a threshold of all others. The column that is neither machine nor time says what failed,
    was replaced or happened.

    Example: bellwether life risk telemetry.csv --failures failed.csv --services replaced.csv --unit machine --time at
      --out risk.csv
    """
    import numpy as np
    import pandas as pd

    from prognosis import hazard

    with as_misconfigured((KeyError, ValueError)):
        records = {"failures": _record(failures, unit, time), "services": _record(services, unit, time)}
        machines = _histories(pd.read_csv(telemetry), unit, time, {**records, "events": _record(events, unit, time)})
        fleet = list(machines.values())
        if len(fleet) < 3:
            raise ValueError(f"{telemetry} has {len(fleet)} machines: each is judged by the others, three are needed")
        others = [[*fleet[:k], *fleet[k + 1 :]] for k in range(len(fleet))]
        risks = [hazard.any_risk(hazard.fit(rest).risk(own)) for rest, own in zip(others, fleet, strict=True)]
    tables, warned, spare, failed = [], 0, 0, 0
    for number, (name, machine) in enumerate(machines.items()):
        level = hazard.threshold(others[number], [*risks[:number], *risks[number + 1 :]], needless)
        opened = hazard.tickets(machine.time_us, risks[number], level)
        ended = hazard.failures_of(machine)
        warned, spare = warned + hazard.warned(opened, ended), spare + hazard.needless(opened, ended)
        failed += len(ended)
        columns = {unit: name, time: machine.time_us.astype("datetime64[us]"), "p_fail": risks[number].round(5)}
        tables.append(pd.DataFrame({**columns, "ticket": np.isin(machine.time_us, opened).astype(int)}))
    pd.concat(tables).to_csv(out, index=False)
    months = sum(float(machine.time_us[-1] - machine.time_us[0]) for machine in fleet) / _MONTH_US
    if as_json:
        print_json({"failures": failed, "warned": warned, "needless_a_month": spare / months, "out": str(out)})
        return
    say(
        f"{warned} of {failed} failures have a ticket 24 to 168 h before; {spare / months:.2f} needless a machine-month"
    )
    say(f"done: {out}")


def _record(path: Path | None, unit: str, time: str) -> pd.DataFrame | None:
    """What happened to whom: machine, time in µs, what."""
    import pandas as pd

    if path is None:
        return None
    table = pd.read_csv(path)
    what = [column for column in table if column not in (unit, time)]
    if len(what) != 1:
        raise ValueError(
            f"{path} needs {unit}, {time} and one column more, that says what; it has {', '.join(map(str, table))}"
        )
    return pd.DataFrame({"unit": table[unit], "us": _us(table[time]), "what": table[what[0]].astype(str)})


def _histories(
    table: pd.DataFrame, unit: str, time: str, records: Mapping[str, pd.DataFrame | None]
) -> dict[object, History]:
    """The machines of a table of telemetry, by name, each with its own records."""
    import numpy as np

    from prognosis.hazard import History

    found: dict[object, History] = {}
    for name, rows in table.assign(**{time: _us(table[time])}).sort_values(time).groupby(unit):
        own = {kind: _of(record, name) for kind, record in records.items()}
        values = rows.drop(columns=[unit, time]).to_numpy(np.float64)
        found[name] = History(rows[time].to_numpy(np.int64), values, own["events"], own["services"], own["failures"])
    return found


def _of(record: pd.DataFrame | None, name: object) -> dict[str, npt.NDArray[np.int64]]:
    """The times of a machine's own record, by what happened."""
    import numpy as np

    if record is None:
        return {}
    mine = record[record["unit"] == name].sort_values("us")
    return {str(what): times["us"].to_numpy(np.int64) for what, times in mine.groupby("what")}


def _us(times: pd.Series) -> npt.NDArray[np.int64]:
    """Times as µs since 1970; without a zone they are UTC."""
    import numpy as np
    import pandas as pd

    return pd.to_datetime(times, utc=True).dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
