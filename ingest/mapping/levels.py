"""What topics and paths of mappings are made of: levels, of which one may hold a name for what varies."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_LEVEL = re.compile(r"([^{}]*)\{([^{}]*)\}([^{}]*)\Z")


class BadPattern(ValueError):
    """Why a pattern is none; the text is the reason, for the operator."""


class Level(NamedTuple):
    """One level of a topic or a path: what stands before and after a name; without a name, all of it is before."""

    before: str
    name: str = ""
    after: str = ""

    @classmethod
    def parse(cls, text: str) -> Level:
        if "{" not in text and "}" not in text:
            return cls(text)
        match = _LEVEL.match(text)
        if match is None:
            raise BadPattern(f"{text}: one {{name}} a level")
        check_name(match[2])
        return cls(match[1], match[2], match[3])

    def fits(self, text: str) -> bool:
        """Whether the name can stand for something in `text`."""
        before, _, after = self
        return len(text) > len(before) + len(after) and text.startswith(before) and text.endswith(after)

    def found(self, text: str) -> str:
        """What the name stands for in a `text` that fits."""
        return text[len(self.before) : len(text) - len(self.after)]


def check_name(name: str) -> None:
    """Refuse what is no name."""
    if not _NAME.match(name):
        raise BadPattern(f"{{{name}}}: a name is made of a-z, 0-9 and _, a letter first; a path begins with / or ./")


def check_once(names: Collection[str]) -> None:
    """Refuse a name that would stand for two things."""
    if len(set(names)) != len(names):
        raise BadPattern("a name stands in it twice")
