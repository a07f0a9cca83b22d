"""Where a network is cut in two: below stays frozen, what descends from the cut is trained.

A cut point is named after the first block that is trained: all nodes that are called so, or so and an underscore or slash. Cut is
the one value that enters that block, in front of any padding, since zeros need not be stored, and behind a pooling, of which less
need be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mstl_edge.errors import RecipeError
from mstl_edge.training.network import ops
from mstl_edge.training.network.graph import Graph, Node


@dataclass(frozen=True)
class Cut:
    """A network cut in two.

    Attributes:
        prefix: Image → features; frozen. None where everything is trained.
        tail: Features → the network's output; trained.
    """

    prefix: Graph | None
    tail: Graph


def cut_at(graph: Graph, point: str) -> Cut:
    """Cut a network in front of the block `point`.

    Raises:
        RecipeError: There is no such block, or what enters it does not part the network.
    """
    return cut_behind(graph, border_of(graph, point))


def cut_behind(graph: Graph, border: str) -> Cut:
    """Cut a network at a value that parts it; see `parts`."""
    if border == graph.input.name:
        return Cut(None, graph)
    above = graph.descendants(border)
    prefix = up_to(graph, border)
    fed = Node(border, "input", (), graph[border].shape)
    tail = graph.with_nodes([fed, *(node for node in graph.nodes if node.name in above)])
    weights = {name: arrays for name, arrays in tail.weights.items() if name != border}
    return Cut(prefix, replace(tail, weights=weights))


def border_of(graph: Graph, point: str) -> str:
    """Return the name of the value that a cut point cuts.

    Raises:
        RecipeError: See `cut_at`.
    """
    block = {
        node.name for node in graph.nodes if node.name == point or node.name.startswith((f"{point}_", f"{point}/"))
    }
    above = block.union(*map(graph.descendants, block))
    entering = list(dict.fromkeys(name for node in graph.nodes if node.name in block for name in node.inputs))
    entering = [name for name in entering if name not in above]
    if len(entering) != 1:
        raise _refused(graph, point, f"{len(entering)} values enter it" if block else "there is no such block")
    (border,) = entering
    while graph[border].kind == "pad":
        (border,) = graph[border].inputs
    reader = graph.sole_reader(border)
    while reader is not None and reader.kind in ("pad", "average_pool", "max_pool"):
        border = reader.name if reader.kind != "pad" and reader.name in block else border
        reader = graph.sole_reader(reader.name)
    if not parts(graph, border):
        raise _refused(graph, point, f"{border}, which enters it, is also read around it")
    return border


def parts(graph: Graph, border: str) -> bool:
    """Return whether all that the output depends on behind a value hangs on that value alone."""
    above = graph.descendants(border)
    if graph.output not in above:
        return False
    return all(name == border or name in above for node in graph.nodes if node.name in above for name in node.inputs)


def borders(graph: Graph) -> list[str]:
    """Return the values that part the network, from input to output."""
    return [node.name for node in graph.nodes if parts(graph, node.name)]


def trained_nodes(graph: Graph, point: str) -> list[str]:
    """Return the names of the nodes that training from a cut point changes: those above it with weights, BatchNorm apart."""
    above = graph.descendants(border_of(graph, point))
    return [node.name for node in graph.nodes if node.name in above and ops.TABLE[node.kind].convolves]


def up_to(graph: Graph, name: str) -> Graph:
    """Return the part of a network that puts out one of its values."""
    return graph.with_nodes(_needed(graph.nodes, name), output=name)


def _needed(nodes: Iterable[Node], border: str) -> list[Node]:
    """Return the nodes that a value depends on, itself among them, and the input."""
    kept, wanted = [], {border}
    for node in reversed(list(nodes)):
        if node.name in wanted or node.kind == "input":
            kept.append(node)
            wanted.update(node.inputs)
    return kept[::-1]


def _refused(graph: Graph, point: str, why: str) -> RecipeError:
    possible = [name for name in borders(graph) if graph.readers[name]]
    return RecipeError(
        f"a block of {graph.name} in front of which it can be cut in two",
        received=f"unfreeze_from = {point} ({why})",
        hint=f"These values part it: {', '.join(possible[-12:])}.",
    )
