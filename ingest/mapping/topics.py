"""Topic patterns: MQTT filters with names for what varies.

`tele/{device}/SENSOR`; `zigbee2mqtt/{device#}` for all levels that remain; `+` and `#` for what needs no name.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingest.mapping.levels import BadPattern, Level, check_name, check_once


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
    _levels: tuple[Level, ...]
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
            check_name(rest)
        if rest is not None:
            levels.pop()
        parsed = [Level.parse(level) for level in levels]
        if any("#" in level for level in levels):
            raise BadPattern("# stands alone, as the last level")
        if any("+" in level and level != "+" for level in levels):
            raise BadPattern("+ stands alone in its level")
        names = [name for _, name, _ in parsed if name] + ([rest] if rest else [])
        check_once(names)
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
        for mine, level in zip(self._levels, levels, strict=False):
            if mine.name:
                if not mine.fits(level):
                    return None
                found[mine.name] = mine.found(level)
            elif mine.before not in ("+", level):
                return None
        if self._rest:
            found[self._rest] = "/".join(levels[count:])
        return found


def overlap(one: str, other: str) -> bool:
    """Whether there can be a topic that both filters match."""
    mine, theirs = one.split("/"), other.split("/")
    for level, beside in zip(mine, theirs, strict=False):
        if "#" in (level, beside):
            return True
        if level != beside and "+" not in (level, beside):
            return False
    shorter, longer = sorted((mine, theirs), key=len)
    return len(mine) == len(theirs) or longer[len(shorter)] == "#"


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
