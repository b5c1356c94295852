"""When an edge node is asked for a rebirth, and who was online before we stopped and has to be born again."""

from __future__ import annotations

# After a node's birth those of its devices come at once. Too low: a rebirth looks as if every device had gone.
REBORN_WITHIN_US = 10_000_000
# Between two requests for a rebirth, at first and at last: a birth is the largest message there is, and a node that
# does not answer, or cannot do it right, is not helped by being asked more often.
ASK_AGAIN_FIRST_US = 5_000_000
ASK_AGAIN_LAST_US = 600_000_000


class Rebirths:
    """Of one edge node.

    Attributes
    ----------
    wanted
        Whether it is to be asked for one as soon as that may be.
    remembered
        Our names for those that were online before our last stop, by device; '' is the node.
    """

    __slots__ = ("_ask_from_us", "_asked_us", "_patience_us", "remembered", "wanted")

    def __init__(self) -> None:
        self.wanted = False
        self.remembered: dict[str, str] = {}
        self._asked_us: int | None = None  # when it was asked for those
        self._ask_from_us = 0
        self._patience_us = ASK_AGAIN_FIRST_US

    def remember(self, device: str, name: str, online: bool) -> None:
        """The node, or a device of it, from before our last stop: what it declared then is not known any more."""
        self.wanted = True
        if online:
            self.remembered[device] = name

    def ask(self, now_us: int) -> bool:
        """Whether to ask now; if so, it counts as asked, and the next one waits longer."""
        if not self.wanted or now_us < self._ask_from_us:
            return False
        if now_us - self._ask_from_us > ASK_AGAIN_LAST_US:
            self._patience_us = ASK_AGAIN_FIRST_US
        self.wanted = False
        if self.remembered and self._asked_us is None:
            self._asked_us = now_us
        self._ask_from_us = now_us + self._patience_us
        self._patience_us = min(2 * self._patience_us, ASK_AGAIN_LAST_US)
        return True

    def given_up(self, now_us: int) -> list[str]:
        """Those remembered, once they had the time to be born again since they were asked: they are forgotten."""
        if self._asked_us is None or now_us - self._asked_us < REBORN_WITHIN_US:
            return []
        return list(self.forget().values())

    def forget(self) -> dict[str, str]:
        """Those remembered, who are no more."""
        remembered, self.remembered, self._asked_us = self.remembered, {}, None
        return remembered
