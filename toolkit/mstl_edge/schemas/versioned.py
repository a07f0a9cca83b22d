"""Reading and writing a file of a schema `mstl-edge/NAME/N`: one policy for all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from mstl_edge.errors import RunError
from mstl_edge.storage import write_text

T = TypeVar("T", bound=msgspec.Struct)
Tree = dict[str, Any]


@dataclass(frozen=True)
class Schema(Generic[T]):
    """A kind of file.

    Attributes:
        name: `metrics` in `mstl-edge/metrics/1`.
        version: The newest N; files up to it are read, and this one is written.
        kind: The structure of the newest version; its field `schema` holds the identifier.
        upgrades: From an older N, a function of its tree that returns the tree of N + 1; an N that is absent needs none.
    """

    name: str
    version: int
    kind: type[T]
    upgrades: Mapping[int, Callable[[Tree], Tree]] = field(default_factory=dict)

    @property
    def identifier(self) -> str:
        """`mstl-edge/NAME/N` of the newest version."""
        return f"mstl-edge/{self.name}/{self.version}"

    def convert(self, tree: object, *, origin: object, hint: str) -> T:
        """Return a decoded file as `kind`; fields that `kind` does not have are passed over.

        Args:
            tree: What JSON gave.
            origin: Where it is from, for the error.
            hint: The command that writes such a file.

        Raises:
            RunError: No object, another schema, a version newer than this one, or a field is missing or wrong.
        """
        if not isinstance(tree, dict):
            raise RunError("a JSON object", received=f"{origin} ({type(tree).__name__})", hint=hint)
        told = tree.get("schema")
        found = (
            re.fullmatch(rf"mstl-edge/{re.escape(self.name)}/([1-9]\d{{0,3}})", told) if isinstance(told, str) else None
        )
        if found is None:
            raise RunError(f"a file of schema {self.identifier}", received=f"{origin} ({told})", hint=hint)
        version = int(found.group(1))
        if version > self.version:
            raise RunError(
                f"a file of schema {self.identifier} or older",
                received=f"{origin} ({told})",
                hint="A newer version of mstl-edge wrote it: install that one.",
            )
        try:
            for older in range(version, self.version):
                tree = self.upgrades.get(older, dict)(tree)
            return msgspec.convert({**tree, "schema": self.identifier}, self.kind)
        except (msgspec.ValidationError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"a whole {told} ({error})", received=origin, hint=hint) from error

    def read(self, path: Path, *, hint: str) -> T:
        """Return a file as `kind`.

        Raises:
            RunError: It cannot be read or is no JSON; else see `convert`.
        """
        return self.convert(read_tree(path, hint=hint), origin=path, hint=hint)

    def text(self, record: T) -> str:
        """Return a record as the JSON that is written."""
        return msgspec.json.format(msgspec.json.encode(record), indent=2).decode() + "\n"

    def write(self, path: Path, record: T) -> None:
        """Write a record, whole or not at all."""
        write_text(path, self.text(record))


def name_of(schema: object) -> str:
    """Return NAME of an identifier `mstl-edge/NAME/N`, whatever its N; nothing where it is none."""
    found = re.fullmatch(r"mstl-edge/([a-z-]+)/\d+", schema) if isinstance(schema, str) else None
    return found.group(1) if found else ""


def read_tree(path: Path, *, hint: str = "") -> Tree:
    """Return the object in a JSON file.

    Raises:
        RunError: It cannot be read, is no JSON, or no object.
    """
    try:
        tree = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise RunError("a file that can be read", received=f"{path} ({error.strerror})", hint=hint) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunError("a JSON file that is whole", received=f"{path} ({error})", hint=hint) from error
    if not isinstance(tree, dict):
        raise RunError("a JSON object", received=f"{path} ({type(tree).__name__})", hint=hint)
    return tree
