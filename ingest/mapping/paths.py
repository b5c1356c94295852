"""Paths: places in a document that are alike.

Written as a topic is, after JSON Pointer (RFC 6901, with its `~1` and `~0`): `params/switch:{n}/apower`, `*` for any
key or place in a list, `**` for all below. One that begins with `/` begins at the top of the message.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ingest.mapping.levels import BadPattern, Level, check_once

Keys = tuple[str | int, ...]

# Below that no device hides its readings; a walk that went on would cost a stack of calls.
MAX_DEPTH = 16
# In one message. Too low cuts a gateway's message short, too high lets one message hold the loop up.
MAX_FOUND = 5000


class TooMuch(ValueError):
    """A message in which there is more to find than may be."""


@dataclass(frozen=True, slots=True)
class Path:
    """Places in a document that are alike.

    Attributes
    ----------
    names
        What `find` finds beside the value.
    from_top
        Whether it begins at the top of the message, and not at the item at hand.
    """

    names: frozenset[str]
    from_top: bool
    _levels: tuple[Level, ...]  # `*` and `**` stand before
    _varies_at: int  # the first level that varies; as many as there are levels where none does

    @classmethod
    def parse(cls, text: str) -> Path:
        """Read a path; the empty one is the document itself.

        Raises
        ------
        BadPattern
        """
        from_top = text.startswith("/")
        text = text.removeprefix("/")
        parsed = [Level.parse(level) for level in text.split("/")] if text else []
        if len(parsed) > MAX_DEPTH:
            raise BadPattern(f"more than {MAX_DEPTH} levels")
        if any(level == ("**", "", "") for level in parsed[:-1]):
            raise BadPattern("** is the last level: it is everything below")
        if any("*" in before + after and (before, name, after) not in (("*", "", ""), ("**", "", ""))
               for before, name, after in parsed):  # fmt: skip
            raise BadPattern("* stands alone in its level")
        check_once([name for _, name, _ in parsed if name])
        varies = [index for index, (before, name, _) in enumerate(parsed) if name or before in ("*", "**")]
        levels = tuple(Level(_unescaped(before), name, _unescaped(after)) for before, name, after in parsed)
        names = frozenset(name for _, name, _ in parsed if name)
        return cls(names, from_top, levels, varies[0] if varies else len(levels))

    @property
    def is_everything(self) -> bool:
        """Whether it takes whatever is there, and not what somebody has named."""
        return bool(self._levels) and self._levels[-1][0] == "**"

    @property
    def varies(self) -> bool:
        return self._varies_at < len(self._levels)

    def find(self, document: Any) -> Iterator[tuple[Keys, dict[str, str], Any]]:
        """Each place that is there: its keys, what the names stand for, and the value.

        Raises
        ------
        TooMuch
        """
        if not self.varies:  # the usual case, and nothing to make
            value = document
            keys: Keys = ()
            for key, _, _ in self._levels:
                step = _step(value, key)
                if step is None:
                    return
                keys = (*keys, step)
                value = value[step]
            yield keys, {}, value
            return
        yield from _found(self._levels, document, (), {})

    def first(self, document: Any) -> Any:
        """The first value that is there, or None."""
        for _, _, value in self.find(document):
            return value
        return None

    def name_of(self, keys: Keys) -> str:
        """What a point there is called unless somebody says: its last key, or the keys from where they vary."""
        return ".".join(str(key) for key in keys[min(self._varies_at, len(keys) - 1) :])


def _unescaped(level: str) -> str:
    return level.replace("~1", "/").replace("~0", "~")


def _step(value: Any, key: str) -> str | int | None:
    """The key of a level in `value`, None where it is not there."""
    if isinstance(value, dict):
        return key if key in value else None
    if isinstance(value, list) and key.isdecimal() and len(key) < 6 and int(key) < len(value):
        return int(key)
    return None


def _found(
    levels: tuple[Level, ...], document: Any, keys: Keys, captures: dict[str, str]
) -> Iterator[tuple[Keys, dict[str, str], Any]]:
    """The places that levels lead to, by a stack of our own: what is given decides its depth."""
    waiting: list[tuple[int, Any, Keys, dict[str, str]]] = [(0, document, keys, captures)]
    seen = 0
    while waiting:
        level, value, keys, captures = waiting.pop()
        seen += 1
        if seen > MAX_FOUND:
            raise TooMuch(f"more than {MAX_FOUND} values")
        if level == len(levels):
            yield keys, captures, value
            continue
        here = levels[level]
        before, name, _ = here
        children: list[tuple[str | int, Any]]
        if isinstance(value, dict):
            children = list(value.items())
        elif isinstance(value, list):
            children = list(enumerate(value[: MAX_FOUND + 1]))
        else:
            children = []
        if before == "**":
            if not children and not isinstance(value, dict | list):
                yield keys, captures, value
            elif len(keys) >= MAX_DEPTH and children:
                raise TooMuch(f"deeper than {MAX_DEPTH} levels")
            waiting += [(level, child, (*keys, key), captures) for key, child in reversed(children)]
        elif name:
            matching = [(key, child) for key, child in children if here.fits(str(key))]
            waiting += [
                (level + 1, child, (*keys, key), captures | {name: here.found(str(key))})
                for key, child in reversed(matching)
            ]
        elif before == "*":
            waiting += [(level + 1, child, (*keys, key), captures) for key, child in reversed(children)]
        elif (step := _step(value, before)) is not None:
            waiting.append((level + 1, value[step], (*keys, step), captures))
