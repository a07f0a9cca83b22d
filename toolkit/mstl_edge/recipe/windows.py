"""Which grey levels become black and white: by name, by numbers, or as the image itself says."""

from __future__ import annotations

from mstl_edge.errors import RecipeError

Window = tuple[float, float]
"""The levels that become 0 and 255."""

WINDOWS: dict[str, Window] = {
    "brain": (0.0, 80.0),
    "subdural": (-20.0, 180.0),
    "stroke": (20.0, 60.0),
    "bone": (-800.0, 2000.0),
    "lung": (-1350.0, 150.0),
    "mediastinum": (-125.0, 225.0),
}
"""Usual windows of CT, in Hounsfield units: level 40 and width 80; 80 and 200; 40 and 40; 600 and 2800; −600 and 1500; 50 and 350
(Radiopaedia, "Windowing (CT)"; the first three and the fourth also of the RSNA 2019 hemorrhage challenge)."""

AUTO = "auto"
CHANNELS = 3

Spelled = str | tuple[float | str, ...]
"""How a recipe writes it: `"auto"` or `[]`, a name, `[low, high]`, or three names for the three channels."""


def windows_of(spelled: Spelled) -> tuple[Window, ...]:
    """Return one window, one for each of three channels, or none: then the image decides.

    Args:
        spelled: See `Spelled`; `[low, high, low, high, low, high]` is how a card writes three.

    Raises:
        RecipeError: It is none of these.
    """
    if spelled in (AUTO, ()):
        return ()
    words = (spelled,) if isinstance(spelled, str) else spelled
    if all(isinstance(word, str) for word in words) and len(words) in (1, CHANNELS):
        if all(word in WINDOWS for word in words):
            return tuple(WINDOWS[str(word)] for word in words)
    elif not any(isinstance(word, str) for word in words) and len(words) in (2, 2 * CHANNELS):
        ends = [float(word) for word in words]
        pairs = tuple(zip(ends[::2], ends[1::2], strict=True))
        if all(low < high for low, high in pairs):
            return pairs
    raise RecipeError(
        f'preprocess.window as "auto", a name ({", ".join(WINDOWS)}), [low, high] with low below high, or three names',
        received=spelled if isinstance(spelled, str) else list(spelled),
        hint="For example --set preprocess.window=brain.",
    )


def in_numbers(spelled: Spelled) -> tuple[float, ...]:
    """Return a window as a card keeps it: nothing, two numbers, or six."""
    return tuple(end for window in windows_of(spelled) for end in window)
