"""A study's tasks on several machines, by Ray: nothing but what a task needs travels, named by its content."""

from mstl_edge.cluster.connection import check_reachable
from mstl_edge.cluster.engine import OnRay
from mstl_edge.cluster.places import Place, parse_place

__all__ = ["OnRay", "Place", "check_reachable", "parse_place"]
