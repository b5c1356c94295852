"""The small language of mappings: topics, places in a document, and texts made of both.

A topic pattern is an MQTT filter with names for what varies: `tele/{device}/SENSOR`, `zigbee2mqtt/{device#}` for all
levels that remain, `+` and `#` for what needs no name. A path is written as a topic is, after JSON Pointer (RFC 6901,
with its `~1` and `~0`): `params/switch:{n}/apower`, `*` for any key or place in a list, `**` for all below. One that
begins with `/` begins at the top of the message. A text is filled from both: `relay_{n}`, `{/deviceInfo/devEui}`.

No regular expressions and nothing evaluated: the cost of each is bounded by the message, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Keys = tuple[str | int, ...]
Captures = Mapping[str, str]

# Below that no device hides its readings; a walk that went on would cost a stack of calls.
MAX_DEPTH = 16
# In one message. Too low cuts a gateway's message short, too high lets one message hold the loop up.
MAX_FOUND = 5000
MAX_TEXT = 256

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_LEVEL = re.compile(r"([^{}]*)\{([^{}]*)\}([^{}]*)\Z")
_HOLE = re.compile(r"\{([^{}]*)\}")


class BadPattern(ValueError):
    """Why a pattern is none; the text is the reason, for the operator."""


class TooMuch(ValueError):
    """A message in which there is more to find than may be."""


@dataclass(frozen=True, slots=True)
class TopicPattern:
    """Topics that are alike, and the names of what differs.

    Attributes
    ----------
    filter
        What to subscribe to.
    names
        What `match` finds.
    """

    filter: str
    names: frozenset[str]
    _levels: tuple[tuple[str, str, str], ...]  # before, name and after; a level without a name has none after
    _rest: str | None  # the name of all levels that remain; "" where they have none; None: there are none

    @classmethod
    def parse(cls, text: str) -> TopicPattern:
        """Read a topic pattern.

        Raises
        ------
        BadPattern
        """
        if not text or len(text.encode()) > 65_535 or "\0" in text:
            raise BadPattern("a topic is not empty")
        levels = text.split("/")
        rest: str | None = None
        if levels[-1] == "#":
            rest = ""
        elif levels[-1].startswith("{") and levels[-1].endswith("#}"):
            rest = levels[-1][1:-2]
            _check_name(rest)
        if rest is not None:
            levels.pop()
        parsed = [_level(level) for level in levels]
        if any("#" in level for level in levels):
            raise BadPattern("# stands alone, as the last level")
        if any("+" in level and level != "+" for level in levels):
            raise BadPattern("+ stands alone in its level")
        names = [name for _, name, _ in parsed if name] + ([rest] if rest else [])
        _check_once(names)
        subscribed = ["+" if name else before for before, name, _ in parsed] + (["#"] if rest is not None else [])
        return cls("/".join(subscribed), frozenset(names), tuple(parsed), rest)

    def match(self, topic: str) -> dict[str, str] | None:
        """What its names stand for in `topic`; None where that is another topic."""
        levels = topic.split("/")
        count = len(self._levels)
        if len(levels) < count or (len(levels) > count and self._rest is None):
            return None
        if self._rest is not None and len(levels) == count:
            return None  # MQTT lets `a/#` match `a` itself, in which there is nothing to name
        if topic[0] == "$":
            return None
        found: dict[str, str] = {}
        for (before, name, after), level in zip(self._levels, levels, strict=False):
            if name:
                if not _between(before, after, level):
                    return None
                found[name] = level[len(before) : len(level) - len(after)]
            elif before not in ("+", level):
                return None
        if self._rest:
            found[self._rest] = "/".join(levels[count:])
        return found


def overlap(one: str, other: str) -> bool:
    """Whether there can be a topic that both filters match."""
    return _overlap(one.split("/"), other.split("/"))


def covers(one: str, other: str) -> bool:
    """Whether every topic that `other` matches is matched by `one`."""
    wide, narrow = one.split("/"), other.split("/")
    for index, level in enumerate(wide):
        if level == "#":
            return True
        if index >= len(narrow) or narrow[index] == "#":
            return False
        if level not in ("+", narrow[index]):
            return False
    return len(wide) == len(narrow)


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
    _levels: tuple[tuple[str, str, str], ...]  # as of a topic; `*` and `**` stand in the first
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
        parsed = [_level(level) for level in text.split("/")] if text else []
        if len(parsed) > MAX_DEPTH:
            raise BadPattern(f"more than {MAX_DEPTH} levels")
        if any(level == ("**", "", "") for level in parsed[:-1]):
            raise BadPattern("** is the last level: it is everything below")
        if any("*" in before + after and (before, name, after) not in (("*", "", ""), ("**", "", ""))
               for before, name, after in parsed):  # fmt: skip
            raise BadPattern("* stands alone in its level")
        _check_once([name for _, name, _ in parsed if name])
        varies = [index for index, (before, name, _) in enumerate(parsed) if name or before in ("*", "**")]
        levels = tuple((_unescaped(before), name, _unescaped(after)) for before, name, after in parsed)
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
                _check_name(piece)
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


def _level(text: str) -> tuple[str, str, str]:
    if "{" not in text and "}" not in text:
        return text, "", ""
    match = _LEVEL.match(text)
    if match is None:
        raise BadPattern(f"{text}: one {{name}} a level")
    _check_name(match[2])
    return match[1], match[2], match[3]


def _check_name(name: str) -> None:
    if not _NAME.match(name):
        raise BadPattern(f"{{{name}}}: a name is made of a-z, 0-9 and _, a letter first; a path begins with / or ./")


def _check_once(names: Collection[str]) -> None:
    if len(set(names)) != len(names):
        raise BadPattern("a name stands in it twice")


def _unescaped(level: str) -> str:
    return level.replace("~1", "/").replace("~0", "~")


def _between(before: str, after: str, level: str) -> bool:
    return len(level) > len(before) + len(after) and level.startswith(before) and level.endswith(after)


def _overlap(one: list[str], other: list[str]) -> bool:
    for mine, theirs in zip(one, other, strict=False):
        if "#" in (mine, theirs):
            return True
        if mine != theirs and "+" not in (mine, theirs):
            return False
    shorter, longer = sorted((one, other), key=len)
    return len(one) == len(other) or longer[len(shorter)] == "#"


def _step(value: Any, key: str) -> str | int | None:
    """The key of a level in `value`, None where it is not there."""
    if isinstance(value, dict):
        return key if key in value else None
    if isinstance(value, list) and key.isdecimal() and len(key) < 6 and int(key) < len(value):
        return int(key)
    return None


def _found(
    levels: tuple[tuple[str, str, str], ...], document: Any, keys: Keys, captures: dict[str, str]
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
        before, name, after = levels[level]
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
            matching = [(key, child) for key, child in children if _between(before, after, str(key))]
            waiting += [
                (level + 1, child, (*keys, key), captures | {name: str(key)[len(before) : len(str(key)) - len(after)]})
                for key, child in reversed(matching)
            ]
        elif before == "*":
            waiting += [(level + 1, child, (*keys, key), captures) for key, child in reversed(children)]
        elif (step := _step(value, before)) is not None:
            waiting.append((level + 1, value[step], (*keys, step), captures))
