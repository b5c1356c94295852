"""A report that one can mail: one HTML page with its pictures in it, without scripts and without the network.

It is legible by day and by night: what a picture draws in `INK` takes the colour of the page's text.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"
"""Turned into `currentColor`. Nobody draws with it otherwise."""
SERIES = ("#2f7ed8", "#e07b00", "#2c9f6b", "#c0448f", "#8a7ad6")
"""Colours of lines that are told apart on white and on black, by colour-blind eyes too."""
ALARM = "#e0433a"

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.25rem 1rem 0.25rem 0; border-bottom: 1px solid #8886; vertical-align: top; }
figure { margin: 1rem 0; overflow-x: auto; }
figure svg { max-width: 100%; height: auto; }
figcaption { opacity: 0.75; font-size: 0.9rem; }
"""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of what is shown as text, under their head."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as inline SVG (see `svg`), and what it shows in words."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it: paragraphs (text), tables, pictures."""

    title: str
    parts: Sequence[str | Table | Picture]


def page(title: str, sections: Sequence[Section]) -> str:
    """The whole document. Whatever is text is escaped."""
    body = "\n".join(
        f"<h2>{escape(section.title)}</h2>\n" + "\n".join(map(_part, section.parts)) for section in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _part(part: str | Table | Picture) -> str:
    if isinstance(part, Picture):
        return f"<figure>{part.svg}<figcaption>{escape(part.caption)}</figcaption></figure>"
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in part.head)
    rows = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>\n" for row in part.rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>"


def drawing(rows: int = 1, *, height_in: float = 2.8, width_in: float = 9.0) -> tuple[Figure, list[Axes]]:
    """An empty figure of so many axes above one another, each so high, drawn in the page's ink."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, rows * height_in), layout="constrained")
    axes = [figure.add_subplot(rows, 1, row + 1) for row in range(rows)]
    for plot in axes:
        plot.set_facecolor("none")
        plot.tick_params(colors=INK)
        plot.spines[["top", "right"]].set_visible(False)
        plot.spines[["left", "bottom"]].set_color(INK)
        for text in (plot.xaxis.label, plot.yaxis.label, plot.title):
            text.set_color(INK)
    return figure, axes


def svg(figure: Figure) -> str:
    """A figure as an element to put into a page; the same figure gives the same text."""
    from matplotlib import rc_context

    written = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "bellwether"}):
        figure.savefig(
            written, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = written.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")
