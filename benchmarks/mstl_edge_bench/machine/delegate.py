"""Which operators XNNPACK took, read from the interpreter's own list of nodes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from msgspec import Struct


class Coverage(Struct, frozen=True):
    """How many operators a model has, how many of them a delegate runs, and the kinds of the others, where it runs any."""

    operators: int
    delegated: int
    others: dict[str, int] = {}


def delegate_coverage(interpreter: Any) -> Coverage:
    """Return how many operators run in a delegate, and which do not.

    A delegate appears as a node of its own that stands for the operators between its inputs and its outputs; these stay listed.
    Uses `_get_ops_details`, which LiteRT and tflite-runtime both offer for such diagnosis.
    """
    nodes = interpreter._get_ops_details()
    operators = [node for node in nodes if node["op_name"] != "DELEGATE"]
    producer = {int(output): number for number, node in enumerate(operators) for output in node["outputs"]}
    taken: set[int] = set()
    for node in nodes:
        if node["op_name"] != "DELEGATE":
            continue
        given = {int(tensor) for tensor in node["inputs"]}
        open_tensors = [int(tensor) for tensor in node["outputs"]]
        while open_tensors:
            number = producer.get(open_tensors.pop())
            if number is None or number in taken:
                continue
            taken.add(number)
            open_tensors += [int(tensor) for tensor in operators[number]["inputs"] if int(tensor) not in given]
    others = Counter(node["op_name"] for number, node in enumerate(operators) if number not in taken) if taken else {}
    return Coverage(len(operators), len(taken), dict(sorted(others.items())))
