"""HTML and SVG as values: whatever is put into an element is escaped, unless it is an element itself."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass

VOID = frozenset(("br", "img", "meta", "circle", "rect", "path", "line"))
"""Elements without content; the SVG ones are empty here, which HTML wants to see closed."""
_SVG_VOID = frozenset(("circle", "rect", "path", "line"))


@dataclass(frozen=True)
class Markup:
    """Text that is HTML already."""

    text: str


Child = Markup | str | float | None | Iterable["Child"]
Attribute = str | float | bool | None


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Return an element.

    Args:
        name: The element's name.
        children: Elements, text (which is escaped), numbers, or sequences of these; None is left out.
        attributes: `class_` gives `class`, `aria_label` gives `aria-label`; None and False are left out, True stands alone.
    """
    inner = join(*children).text
    opening = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID and not inner:
        return Markup(f"<{opening}/>" if name in _SVG_VOID else f"<{opening}>")
    return Markup(f"<{opening}>{inner}</{name}>")


def join(*children: Child) -> Markup:
    """Return the children one after the other, escaped where they are text."""
    return Markup("".join(_text(child) for child in children))


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child.text
    if isinstance(child, str):
        return html.escape(_unbroken(child), quote=False)
    if isinstance(child, int | float):
        return number(child)
    return "".join(_text(inner) for inner in child)


def _unbroken(text: str) -> str:
    """Keep a number and its per cent sign, and `n = 32`, on one line."""
    return text.replace(" %", "\u00a0%").replace("n = ", "n\u00a0=\u00a0")


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    shown = number(value) if isinstance(value, int | float) else html.escape(value, quote=True)
    return f' {name}="{shown}"'


def number(value: float) -> str:
    """Return a number with at most two decimals; a hundredth of a pixel is nothing to see."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
