"""A document as PDF: the same bytes each time, from what was frozen and when it was issued.

Set in DejaVu Sans, which comes with matplotlib: Latin, Greek and Cyrillic letters of every name. It has no Chinese,
Japanese or Korean; what it has not is printed as a replacement mark. The page in a browser has all.

Takes about half a second of one core, most of it for reading the two fonts; meant for one document at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tickets.documents import signature
from tickets.documents.form import Document, Facts, Section, Strokes, Table

if TYPE_CHECKING:
    from fpdf import FPDF

_FONT = "DejaVu"
_FACES = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
_MISSING = "\N{REPLACEMENT CHARACTER}"

# Millimetres on A4, points for letters.
_MARGIN_MM, _LINE_MM, _GAP_MM = 20.0, 5.2, 4.0
_LABEL_MM, _SIGNATURE_MM, _PEN_MM = 42.0, 70.0, 0.4
_TEXT_PT, _SMALL_PT, _HEADING_PT, _TITLE_PT = 9.5, 8.0, 11.5, 18.0
_GREY = 100


def pdf_of(document: Document, issued_at: datetime, note: str = "") -> bytes:
    """`note` is printed below the title."""
    pdf = _sheet(document, issued_at)
    _write(pdf, document.title, _TITLE_PT, "B")
    if note:
        _write(pdf, note, _SMALL_PT)
    pdf.ln(_GAP_MM / 2)
    _facts(pdf, document.facts)
    for section in document.sections:
        _section(pdf, section)
    return bytes(pdf.output())


def _sheet(document: Document, issued_at: datetime) -> FPDF:
    from fpdf import FPDF  # noqa: PLC0415 a quarter of a second, for those alone who print

    class Sheet(FPDF):
        def footer(self) -> None:
            self.set_y(-_MARGIN_MM + 5)
            self.set_font(_FONT, "", _SMALL_PT)
            self.set_text_color(_GREY)
            self.cell(0, _LINE_MM, f"{document.number}, page {self.page_no()} of {{nb}}", align="C")

    pdf = Sheet(format="A4")
    pdf.set_margin(_MARGIN_MM)
    pdf.set_auto_page_break(True, _MARGIN_MM)
    for style, name in _FACES.items():
        pdf.add_font(_FONT, style, _fonts() / name)
    pdf.set_creation_date(issued_at)
    pdf.set_title(f"{document.title} {document.number}")
    pdf.set_lang("en")
    pdf.add_page()
    return pdf


def _fonts() -> Path:
    """Where matplotlib keeps its fonts, without the second that loading it takes."""
    found = find_spec("matplotlib")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("matplotlib")
    return Path(found.submodule_search_locations[0]) / "mpl-data/fonts/ttf"


def _section(pdf: FPDF, section: Section) -> None:
    pdf.ln(_GAP_MM)
    if pdf.will_page_break(3 * _LINE_MM):  # no heading alone at the foot of a page
        pdf.add_page()
    _write(pdf, section.heading, _HEADING_PT, "B")
    for paragraph in section.paragraphs:
        _write(pdf, paragraph)
    _facts(pdf, section.facts)
    if section.strokes:
        _signature(pdf, section.strokes)
    if section.table:
        _table(pdf, section.table)


def _write(pdf: FPDF, text: str, size_pt: float = _TEXT_PT, style: str = "", width_mm: float = 0) -> None:
    pdf.set_font(_FONT, style, size_pt)
    pdf.set_text_color(0)
    pdf.multi_cell(width_mm, _LINE_MM * size_pt / _TEXT_PT, _known(pdf, text), align="L", new_x="LMARGIN", new_y="NEXT")


def _facts(pdf: FPDF, facts: Facts) -> None:
    for name, text in facts:
        if pdf.will_page_break(_LINE_MM):
            pdf.add_page()
        pdf.set_font(_FONT, "", _TEXT_PT)
        pdf.set_text_color(_GREY)
        pdf.cell(_LABEL_MM, _LINE_MM, _known(pdf, name))
        pdf.set_text_color(0)
        pdf.multi_cell(0, _LINE_MM, _known(pdf, text), align="L", new_x="LMARGIN", new_y="NEXT")


def _table(pdf: FPDF, table: Table) -> None:
    from fpdf.fonts import FontFace  # noqa: PLC0415 as above

    pdf.ln(1)
    pdf.set_font(_FONT, "", _SMALL_PT)
    pdf.set_text_color(0)
    with pdf.table(
        borders_layout="HORIZONTAL_LINES",
        col_widths=_widths(table),
        headings_style=FontFace(emphasis="BOLD"),
        line_height=_LINE_MM,
        text_align="LEFT",
    ) as grid:
        for line in (table.head, *table.rows):
            row = grid.row()
            for cell in line:
                row.cell(_known(pdf, cell))


def _widths(table: Table) -> list[int]:
    """Shares of the columns by their longest text, so that none is squeezed or takes all."""
    columns = zip(table.head, *table.rows, strict=True)
    return [min(max(len(cell) for cell in column) + 2, 40) for column in columns]


def _signature(pdf: FPDF, strokes: Strokes) -> None:
    scale = _SIGNATURE_MM / signature.WIDTH
    height_mm = signature.HEIGHT * scale
    if pdf.will_page_break(height_mm + _LINE_MM):
        pdf.add_page()
    left, top = pdf.l_margin, pdf.get_y() + 1
    pdf.set_line_width(_PEN_MM)
    pdf.set_draw_color(0)
    for stroke in strokes:
        pdf.polyline(_points(stroke, left, top, scale))
    pdf.set_line_width(_PEN_MM / 2)
    pdf.set_draw_color(_GREY)
    pdf.line(left, top + height_mm, left + _SIGNATURE_MM, top + height_mm)
    pdf.set_y(top + height_mm + 1)


def _points(stroke: Sequence[int], left: float, top: float, scale: float) -> list[tuple[float, float]]:
    points = [(left + x * scale, top + y * scale) for x, y in zip(stroke[::2], stroke[1::2], strict=True)]
    return points if len(points) > 1 else [points[0], (points[0][0] + _PEN_MM, points[0][1])]


def _known(pdf: FPDF, text: str) -> str:
    """Without what the font cannot print."""
    letters = pdf.fonts[_FONT.lower()].cmap  # type: ignore[union-attr]
    return "".join(letter if ord(letter) in letters or letter == "\n" else _MISSING for letter in text)
