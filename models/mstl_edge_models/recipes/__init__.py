"""The built-in recipes, as TOML files beside this module."""

from __future__ import annotations

from importlib import resources


def names() -> list[str]:
    """Return the names of the built-in recipes, the default first."""
    found = sorted(
        entry.name.removesuffix(".toml")
        for entry in resources.files(__name__).iterdir()
        if entry.name.endswith(".toml")
    )
    return sorted(found, key=lambda name: name != DEFAULT)


def read(name: str) -> str:
    """Return the TOML text of a built-in recipe."""
    return resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")


DEFAULT = "phantom"
