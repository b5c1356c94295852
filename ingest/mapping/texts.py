"""Texts made of what names stand for, and of what is at a place in the message: `relay_{n}`, `{/deviceInfo/devEui}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.mapping.levels import BadPattern, check_name
from ingest.mapping.paths import Path

Captures = Mapping[str, str]

MAX_TEXT = 256

_HOLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Text:
    """A text with holes.

    Attributes
    ----------
    names
        What must be known to fill it.
    """

    names: frozenset[str]
    _parts: tuple[str | Path, ...]  # alternately what stands there and what goes in: a name, or a path
    _plain: str | None

    @classmethod
    def parse(cls, text: str) -> Text:
        """Read a text.

        Raises
        ------
        BadPattern
        """
        if len(text) > MAX_TEXT:
            raise BadPattern(f"longer than {MAX_TEXT} characters")
        pieces = _HOLE.split(text)
        if any("{" in piece or "}" in piece for piece in pieces[::2]):
            raise BadPattern("a { without its }")
        parts: list[str | Path] = []
        names: set[str] = set()
        for index, piece in enumerate(pieces):
            if index % 2 == 0:
                parts.append(piece)
            elif piece.startswith(("/", "./")):
                path = Path.parse(piece.removeprefix("./"))
                if path.varies:
                    raise BadPattern(f"{{{piece}}}: a path in a text leads to one place, without * and names")
                parts.append(path)
            else:
                check_name(piece)
                names.add(piece)
                parts.append(piece)
        return cls(frozenset(names), tuple(parts), text if len(pieces) == 1 else None)

    def paths(self) -> Sequence[Path]:
        """The places in the message that go into it."""
        return [part for part in self._parts if isinstance(part, Path)]

    def fill(self, captures: Captures, top: Any, item: Any) -> str | None:
        """The text, or None where something that goes into it is not there, or is neither text nor whole number."""
        if self._plain is not None:
            return self._plain
        filled: list[str] = []
        for index, part in enumerate(self._parts):
            if isinstance(part, Path):
                value = part.first(top if part.from_top else item)
                if isinstance(value, bool) or not isinstance(value, str | int):
                    return None
                filled.append(str(value)[:MAX_TEXT])
            else:
                filled.append(captures[part] if index % 2 else part)
        return "".join(filled)
