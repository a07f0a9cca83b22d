"""Pickles of weights, followed without being executed.

A pickle is a program. Here its instructions are read one by one, of which only those that build dictionaries, tuples and numbers
are known; names of functions stay texts, and the few calls that a state dictionary is made of (a tensor of a storage, an ordered
dictionary, a parameter) are answered with plain values. Whatever else a file asks for is an error that names it.
"""

from __future__ import annotations

import pickletools
import struct
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

_KINDS = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch DoubleStorage": np.dtype("<f8"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
    "torch BoolStorage": np.dtype("?"),
    "torch ByteStorage": np.dtype("u1"),
}


class CheckpointError(ValueError):
    """A file that is no checkpoint of weights alone; its text says what stands in the way."""


@dataclass(frozen=True)
class Stored:
    """A tensor that lies in the file: which raw bytes, from where, and how they are laid out."""

    key: str
    kind: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Name:
    """A function or class that a pickle names, as a text."""

    text: str


class Reading:
    """A pickle's instructions, followed as far as they build plain values."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def value(self, pickle: IO[bytes]) -> Any:
        """Return what the next pickle of a file builds, with tensors as `Stored` and functions as names.

        Raises:
            CheckpointError: It has an instruction that is not followed here.
        """
        try:
            for instruction, argument, _ in pickletools.genops(pickle):
                step = getattr(self, f"_{instruction.name.lower()}", None)
                if step is None:
                    raise CheckpointError(f"the instruction {instruction.name}, which weights do not need")
                step(argument)
            return self._stack[-1]
        except CheckpointError:
            raise
        except (ValueError, LookupError, TypeError, AttributeError, EOFError, ArithmeticError, struct.error) as error:
            raise CheckpointError(f"a damaged pickle ({error})") from error

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _popped(self, count: int) -> list[Any]:
        if count > len(self._stack):
            raise IndexError("too few values")
        taken = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return taken

    def _since_mark(self) -> list[Any]:
        return self._popped(len(self._stack) - self._marks.pop())

    def _nothing(self, argument: Any) -> None:
        """Follow an instruction that builds nothing."""

    _proto = _frame = _stop = _nothing
    _binunicode = _short_binunicode = _unicode = _push
    _binint = _binint1 = _binint2 = _long1 = _binfloat = _push

    def _none(self, argument: Any) -> None:
        self._push(None)

    def _newtrue(self, argument: Any) -> None:
        self._push(True)

    def _newfalse(self, argument: Any) -> None:
        self._push(False)

    def _empty_dict(self, argument: Any) -> None:
        self._push({})

    def _empty_list(self, argument: Any) -> None:
        self._push([])

    def _empty_tuple(self, argument: Any) -> None:
        self._push(())

    def _mark(self, argument: Any) -> None:
        self._marks.append(len(self._stack))

    def _tuple(self, argument: Any) -> None:
        self._push(tuple(self._since_mark()))

    def _tuple1(self, argument: Any) -> None:
        self._push(tuple(self._popped(1)))

    def _tuple2(self, argument: Any) -> None:
        self._push(tuple(self._popped(2)))

    def _tuple3(self, argument: Any) -> None:
        self._push(tuple(self._popped(3)))

    def _append(self, argument: Any) -> None:
        (item,) = self._popped(1)
        self._stack[-1].append(item)

    def _appends(self, argument: Any) -> None:
        items = self._since_mark()
        self._stack[-1].extend(items)

    def _setitem(self, argument: Any) -> None:
        key, item = self._popped(2)
        self._stack[-1][key] = item

    def _setitems(self, argument: Any) -> None:
        items = self._since_mark()
        self._stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _binput(self, argument: Any) -> None:
        self._memo[argument] = self._stack[-1]

    _long_binput = _binput

    def _memoize(self, argument: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _binget(self, argument: Any) -> None:
        self._push(self._memo[argument])

    _long_binget = _binget

    def _global(self, argument: Any) -> None:
        self._push(_Name(argument))

    def _stack_global(self, argument: Any) -> None:
        module, name = self._popped(2)
        self._push(_Name(f"{module} {name}"))

    def _binpersid(self, argument: Any) -> None:
        """Read a storage: ("storage", its kind, its key, where it lay, how many numbers)."""
        ((what, kind, key, *_),) = self._popped(1)
        if what != "storage" or not isinstance(kind, _Name) or kind.text not in _KINDS:
            raise CheckpointError(f"{getattr(kind, 'text', kind)}, whose numbers are not read here")
        self._push((str(key), _KINDS[kind.text]))

    def _build(self, argument: Any) -> None:
        """Leave out what is set on an object; of a state dictionary it is PyTorch's own versions."""
        self._popped(1)

    def _reduce(self, argument: Any) -> None:
        function, arguments = self._popped(2)
        text = getattr(function, "text", function)
        if text == "collections OrderedDict" and not arguments:
            self._push({})
        elif text == "torch._utils _rebuild_tensor_v2":
            (key, kind), offset, shape, strides, *_ = arguments
            self._push(Stored(key, kind, offset, tuple(shape), tuple(strides)))
        elif text == "torch._utils _rebuild_parameter":
            self._push(arguments[0])
        else:
            raise CheckpointError(f"a call of {text}, which weights do not need")
