"""The fault library: failure modes in the words of ISO 14224, each with its signature, its test and its remedy.

The built-in one is `faults.toml` beside this. A plant adds its own modes and procedures, or says an old one better, in
a file of the same form: one of the same id replaces ours. A file is taken whole or not at all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from detectors.vibration import FAULTS
from prognosis import procedures
from prognosis.procedures import Procedure, procedure_of
from prognosis.roles import ROLES

BUILT_IN = Path(__file__).with_name("faults.toml")
EXPECTATIONS = ("++", "+", "+?", "?", "-?", "-", "--")
INSTRUMENT = ("", "moves", "still", "rough")
URGENCIES = ("", "now", "day", "week", "month")


class BadLibrary(ValueError):
    """A fault library that cannot be; the message names the mode and the field."""


@dataclass(frozen=True, slots=True)
class FailureMode:
    """One way in which a machine fails.

    Attributes
    ----------
    machines
        Kinds of machine that can have it; empty: any.
    failure_mode, mechanism
        ISO 14224: the code of what is seen, and the word for why.
    signature
        By role, how it is expected to move: one of `EXPECTATIONS`.
    instrument
        What a faulty sensor does to its own point alone; empty for a fault of the machine.
    vibration
        The verdicts on blocks of vibration that speak for it, of `detectors.vibration.FAULTS`.
    prior
        How often it happens, against 1 for an ordinary mode.
    told_apart, confirm, remedy, parts
        What an engineer needs: the difference to look for, the test on site, what is done then, and with what.
    urgency
        How long one may wait: now, a day, a week, a month; empty where that is not known.
    procedure
        How it is mended, step by step; None where nobody has written it down.
    """

    id: str
    name: str
    failure_mode: str
    mechanism: str
    told_apart: str
    confirm: str
    remedy: str
    parts: Sequence[str] = ()
    machines: Sequence[str] = ()
    signature: Mapping[str, str] = field(default_factory=dict)
    instrument: str = ""
    vibration: Sequence[str] = ()
    prior: float = 1.0
    urgency: str = ""
    procedure: Procedure | None = None

    def concerns(self, kind: str) -> bool:
        """Whether a machine of this kind can have it. A `centrifugal pump` is a `pump`; an empty kind is any."""
        words = kind.lower().replace(" ", "_")
        return not words or not self.machines or any(machine in words for machine in self.machines)

    def expects(self, roles: Sequence[str]) -> str:
        """How a point with these roles moves, the special role before the general; empty: it stays."""
        return next((self.signature[role] for role in roles if role in self.signature), "")


_Entry = TypeVar("_Entry", FailureMode, Procedure)


@cache
def library(path: Path | None = None) -> tuple[FailureMode, ...]:
    """The failure modes: the built-in ones, with those of a file over them.

    Raises
    ------
    BadLibrary
        The file cannot be read as a fault library.
    """
    how = dict(built_in_procedures())
    modes = {mode.id: mode for mode in _modes(BUILT_IN, how)}
    if path is not None:
        how |= {one.id: one for one in _entries(path, "procedures", procedure_of)}
        modes |= {mode.id: mode for mode in _modes(path, how)}
    # A procedure that a plant has written better is better for our modes too.
    return tuple(replace(mode, procedure=mode.procedure and how[mode.procedure.id]) for mode in modes.values())


@cache
def built_in_procedures() -> Mapping[str, Procedure]:
    """The procedures of this house by their ids; a plant's own are known to who reads its file."""
    return {one.id: one for one in _entries(procedures.BUILT_IN, "procedures", procedure_of)}


def _modes(path: Path, how: Mapping[str, Procedure]) -> list[FailureMode]:
    return _entries(path, "modes", lambda entry: _mode(entry, how))


def _entries(path: Path, name: str, read: Callable[[dict[str, Any]], _Entry]) -> list[_Entry]:
    """The modes or procedures of one file, every field checked; BadLibrary where one is wrong."""
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadLibrary(f"{path}: {error}") from error
    if not body or not set(body) <= {"modes", "procedures"}:
        raise BadLibrary(f"{path}: a list of [[modes]], one of [[procedures]], and nothing else")
    entries = body.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise BadLibrary(f"{path}: a list of [[{name}]]")
    found = []
    for number, entry in enumerate(entries, start=1):
        try:
            found.append(read(entry))
        except (TypeError, ValueError) as error:
            one = name.removesuffix("s")
            raise BadLibrary(f"{path}: {one} {number} ({entry.get('id', 'without id')}): {error}") from error
    if len({one.id for one in found}) < len(found):
        raise BadLibrary(f"{path}: two {name} have the same id")
    return found


def _mode(entry: dict[str, Any], how: Mapping[str, Procedure]) -> FailureMode:
    unknown = sorted(set(entry) - {one.name for one in fields(FailureMode)})
    if unknown:
        raise ValueError(f"{unknown[0]} is unknown")
    for name in ("id", "name", "failure_mode", "mechanism", "told_apart", "confirm", "remedy"):
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise ValueError(f"{name} is a text")
    for name in ("parts", "machines", "vibration"):
        value = entry.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ValueError(f"{name} is a list of texts")
    if wrong := sorted(set(entry.get("vibration", [])) - set(FAULTS[1:])):
        raise ValueError(f"vibration: {wrong[0]} is none of {', '.join(FAULTS[1:])}")
    signature, instrument = entry.get("signature", {}), entry.get("instrument", "")
    if instrument not in INSTRUMENT:
        raise ValueError(f"instrument is one of {', '.join(INSTRUMENT[1:])}")
    if not isinstance(signature, dict) or bool(signature) == bool(instrument):
        raise ValueError("either a signature or what an instrument does")
    _check_signature(signature)
    prior = entry.get("prior", 1.0)
    if isinstance(prior, bool) or not isinstance(prior, int | float) or not 0.0 < prior <= 100.0:
        raise ValueError("prior is a number above 0 and at most 100")
    if entry.get("urgency", "") not in URGENCIES:
        raise ValueError(f"urgency is one of {', '.join(URGENCIES[1:])}")
    procedure = entry.get("procedure")
    if procedure is not None and procedure not in how:
        raise ValueError(f"there is no procedure {procedure}")
    return FailureMode(**{**entry, "procedure": how[procedure] if procedure is not None else None})


def _check_signature(signature: Mapping[str, Any]) -> None:
    for role, expected in signature.items():
        if role not in ROLES:
            raise ValueError(f"signature: {role} is no role; roles are {', '.join(sorted(ROLES))}")
        if expected not in EXPECTATIONS:
            raise ValueError(f"signature: {role} is one of {' '.join(EXPECTATIONS)}")
