"""Elements: escaped, closed, and written with few digits."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstl_edge.report.html.markup import Markup, number, tag


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


@given(
    st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), min_size=1),
    st.text(st.characters(exclude_categories=("Cs", "Cc"))),
)
def test_any_text_comes_back_as_text_and_any_attribute_as_an_attribute(text: str, attribute: str) -> None:
    reader = _Reader()
    reader.feed(tag("p", text, title=attribute).text)
    reader.close()
    (name, attributes), *texts = reader.seen
    assert (name, attributes) == ("p", {"title": attribute})
    assert "".join(map(str, texts)).replace("\u00a0", " ") == text.replace("\u00a0", " ")


def test_elements_inside_stay_elements_and_none_is_left_out() -> None:
    assert tag("p", tag("b", "1 < 2"), None, [Markup("<i>x</i>"), 3]).text == "<p><b>1 &lt; 2</b><i>x</i>3</p>"
    assert tag("path", d="M0 0", class_="line", aria_hidden=None).text == '<path d="M0 0" class="line"/>'
    assert tag("circle", tag("title", "t"), r=2).text == '<circle r="2"><title>t</title></circle>'
    assert tag("br").text == "<br>"


@pytest.mark.parametrize(
    ("value", "text"), [(10, "10"), (0.5, "0.5"), (-0.001, "0"), (123.456, "123.46"), (-2.0, "-2"), (100, "100")]
)
def test_numbers_have_at_most_two_decimals(value: float, text: str) -> None:
    assert number(value) == text
