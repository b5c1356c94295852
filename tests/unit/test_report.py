"""A report is one file, whatever its titles and cells say."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from bellwether.report import INK, SERIES, Picture, Section, Table, drawing, page, svg


def test_a_report_is_one_file_and_text_stays_text() -> None:
    figure, (plot,) = drawing()
    plot.plot([0.0, 1.0, 2.0], [0.0, 1.0, 0.0], color=SERIES[0], label="<b>")
    plot.set_xlabel("Hz")
    plot.legend(labelcolor=INK)
    written = page(
        "A & B", [Section("<script>", ["1 < 2", Table(["a"], [["<td>"], [2.5]]), Picture(svg(figure), "§")])]
    )

    seen: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append(tag)  # type: ignore[method-assign]
    parser.feed(written)
    assert seen.count("svg") == seen.count("table") == 1
    assert seen.count("td") == 2
    assert not {"script", "img", "link", "b"} & set(seen)
    assert "<title>A &amp; B</title>" in written
    # Namespaces are names; nothing is fetched.
    assert not re.search(r'(?:src|href)="(?!#)', written)


def test_a_picture_takes_the_colour_of_the_page_and_is_the_same_each_time() -> None:
    def drawn() -> str:
        figure, (plot, _) = drawing(2)
        plot.plot([0.0, 1.0], [3.0, 4.0])
        return svg(figure)

    assert INK not in drawn()
    assert "currentColor" in drawn()
    assert drawn() == drawn()
