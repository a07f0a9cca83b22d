"""The page: headline, numbered figures and tables, style sheet, footer. One file that asks the network for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from itertools import count

from mstl_edge import __version__
from mstl_edge.report.draw.chart import MOST_LARGE
from mstl_edge.report.html.blocks import Figure, Key, Part, Section, Table
from mstl_edge.report.html.markup import Child, Markup, join, tag

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser may load for this page: its own style sheet and pictures inside it."""
MOST_COLUMNS = 4
"""Columns up to which a phone shows a table as one; the rows of wider ones, and of those with sentences, become cards."""
FOOTER = "Research software, not a medical device: nothing here is a finding about a person."


def page(title: str, subtitle: str, part: Part) -> str:
    """Return the whole HTML document."""
    figures, tables = count(1), count(1)
    style = resources.files("mstl_edge.report").joinpath("report.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("title", f"{title} – mstl-edge report"),
        tag("style", Markup(style)),
    )
    top = tag(
        "header", tag("p", "mstl-edge report", class_="kind"), tag("h1", title), tag("p", subtitle, class_="subtitle")
    )
    body = tag(
        "body",
        tag(
            "main",
            top,
            _headline(part.headline),
            [_section(section, figures, tables) for section in part.sections],
            _missing(part.missing),
        ),
        tag("footer", tag("p", FOOTER), tag("p", f"Written by mstl-edge {__version__}. Intervals are 95 % intervals.")),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en').text}\n"


def _headline(sentences: tuple[str, ...]) -> Markup | None:
    if not sentences:
        return None
    first, *others = sentences
    return tag("div", tag("p", first, class_="lead"), [tag("p", sentence) for sentence in others], class_="headline")


def _section(section: Section, figures: Iterator[int], tables: Iterator[int]) -> Markup:
    parts: list[Child] = [tag("h2", section.title)]
    for block in section.blocks:
        if isinstance(block, Figure):
            parts.append(_figure(block, next(figures)))
        elif isinstance(block, Table):
            parts.append(_table(block, next(tables)))
        else:
            parts.append(block)
    return tag("section", parts)


def _figure(figure: Figure, number: int) -> Markup:
    caption = tag("figcaption", tag("b", f"Figure {number}. "), figure.caption)
    legend = tag("div", [_key(key) for key in figure.legend], class_="legend") if figure.legend else None
    count = len(figure.drawings)
    arranged = tag("div", figure.drawings, class_=f"drawings {_arrangement(count, figure.large)}".rstrip())
    return tag("figure", arranged, legend, caption, class_="lone" if count == 1 else None)


def _arrangement(count: int, large: bool) -> str:
    """Return the classes by which the style sheet sets `count` drawings side by side."""
    if count == 1:
        return ""
    if large or count <= MOST_LARGE:
        return "two"
    return "many threes" if count % 3 == 0 else "many"


def _key(key: Key) -> Markup:
    shapes = {
        "line": tag("path", d="M1 6L21 6", class_=f"line {key.style}"),
        "band": tag("path", d="M1 1H21V11H1Z", class_=f"band {key.style}"),
        "dot": tag("circle", cx=11, cy=6, r=3.6, class_=f"dot {key.style}"),
        "ring": tag("circle", cx=11, cy=6, r=3.6, class_=f"dot ring {key.style}"),
    }
    swatch = tag("svg", shapes[key.kind], viewBox="0 0 22 12", width=22, height=12, aria_hidden="true")
    return tag("span", swatch, key.text, class_="key")


def _table(table: Table, number: int) -> Markup:
    named = any(table.head)
    cards = named and (bool(table.long) or len(table.head) > MOST_COLUMNS)
    head = [tag("th", text, class_=None if i in table.words else "number") for i, text in enumerate(table.head)]
    rows = []
    for n, row in enumerate(table.rows):
        cells = [_cell(table, i, content, cards) for i, content in enumerate(row)]
        rows.append(tag("tr", cells, class_="marked" if n in table.marked else None))
    caption = tag("figcaption", tag("b", f"Table {number}. "), table.caption)
    body = tag("table", tag("thead", tag("tr", head)) if named else None, tag("tbody", rows))
    return tag("figure", caption, tag("div", body, class_="scroll cards" if cards else "scroll"), class_="table")


def _cell(table: Table, column: int, content: Child, cards: bool) -> Markup:
    """Return a cell; in a table whose rows become cards it carries its column's name, which is then written above it."""
    classes = [] if column in table.words else ["number"]
    if column in table.long:
        classes.append("long")
    label = table.head[column] if cards and column else None
    return tag("td", content, class_=" ".join(classes) or None, data_label=label)


def _missing(entries: tuple[str, ...]) -> Markup | None:
    if not entries:
        return None
    return tag("section", tag("h2", "Not shown"), tag("ul", [tag("li", join(entry)) for entry in entries]))
