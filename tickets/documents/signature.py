"""A signature drawn on a screen: strokes in a box of fixed size, not a picture.

A stroke is `[x, y, x, y, …]`, whole numbers from the upper left corner of the box. What fits the limits takes a few
kilobytes, holds nothing but where a pen went, and is drawn in any size.
"""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 1000, 300
# A long name in block letters has some forty. Too low: it is cut off. Too high: whoever sends drawings can fill pages.
MOST_STROKES = 80
# Of all strokes together; the page leaves out points that lie on top of one another.
MOST_POINTS = 2000


class BadSignature(Exception):
    """These strokes cannot have been drawn in the box."""


def check(strokes: Sequence[Sequence[int]]) -> None:
    """BadSignature with the reason; no stroke at all is none."""
    if len(strokes) > MOST_STROKES or sum(map(len, strokes)) > 2 * MOST_POINTS:
        raise BadSignature(f"a signature has at most {MOST_STROKES} strokes and {MOST_POINTS} points")
    for stroke in strokes:
        if len(stroke) < 2 or len(stroke) % 2:
            raise BadSignature("a stroke is x, y, x, y and so on")
        inside = all(0 <= x <= WIDTH for x in stroke[::2]) and all(0 <= y <= HEIGHT for y in stroke[1::2])
        if not inside:
            raise BadSignature(f"a signature lies within {WIDTH} by {HEIGHT}")
