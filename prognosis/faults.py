"""The fault library: failure modes in the words of ISO 14224, each with its signature, its test and its remedy.

The built-in one is `faults.toml` beside this. A plant adds its own modes, or says an old one better, in a file of the
same form: a mode of the same id replaces ours. A file is taken whole or not at all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from detectors.vibration import FAULTS
from prognosis.roles import ROLES

BUILT_IN = Path(__file__).with_name("faults.toml")
EXPECTATIONS = ("++", "+", "+?", "?", "-?", "-", "--")
INSTRUMENT = ("", "moves", "still", "rough")


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

    def concerns(self, kind: str) -> bool:
        """Whether a machine of this kind can have it. A `centrifugal pump` is a `pump`; an empty kind is any."""
        words = kind.lower().replace(" ", "_")
        return not words or not self.machines or any(machine in words for machine in self.machines)

    def expects(self, roles: Sequence[str]) -> str:
        """How a point with these roles moves, the special role before the general; empty: it stays."""
        return next((self.signature[role] for role in roles if role in self.signature), "")


@cache
def library(path: Path | None = None) -> tuple[FailureMode, ...]:
    """The failure modes: the built-in ones, with those of a file over them.

    Raises
    ------
    BadLibrary
        The file cannot be read as a fault library.
    """
    modes = {mode.id: mode for mode in read_modes(BUILT_IN)}
    if path is not None:
        modes |= {mode.id: mode for mode in read_modes(path)}
    return tuple(modes.values())


def read_modes(path: Path) -> list[FailureMode]:
    """The modes of one file, every field checked; BadLibrary where one is wrong."""
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadLibrary(f"{path}: {error}") from error
    entries = body.get("modes")
    if set(body) != {"modes"} or not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise BadLibrary(f"{path}: a list of [[modes]] and nothing else")
    modes = []
    for number, entry in enumerate(entries, start=1):
        try:
            modes.append(_mode(entry))
        except (TypeError, ValueError) as error:
            raise BadLibrary(f"{path}: mode {number} ({entry.get('id', 'without id')}): {error}") from error
    if len({mode.id for mode in modes}) < len(modes):
        raise BadLibrary(f"{path}: two modes have the same id")
    return modes


def _mode(entry: dict[str, Any]) -> FailureMode:
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
    return FailureMode(**entry)


def _check_signature(signature: Mapping[str, Any]) -> None:
    for role, expected in signature.items():
        if role not in ROLES:
            raise ValueError(f"signature: {role} is no role; roles are {', '.join(sorted(ROLES))}")
        if expected not in EXPECTATIONS:
            raise ValueError(f"signature: {role} is one of {' '.join(EXPECTATIONS)}")
