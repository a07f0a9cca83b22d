"""Which network a study on several of them would take: those that the data can't tell from the best, and the smallest of these."""

from __future__ import annotations

from dataclasses import dataclass

from mstl_edge.schemas.study import ArmResult, Cost, Study

FLOAT = "float32"
HELPED, HURT, CANNOT_TELL = "helped", "hurt", "cannot tell"
"""The verdicts of a comparison."""


@dataclass(frozen=True)
class NetworkChoice:
    """The networks, compared in float32.

    Attributes:
        best: The highest accuracy.
        alike: Those that the data can't tell from it, the smallest file first.
        behind: Those that are worse beyond chance.
        smallest: The first of the best and those alike, by the size of the file that a device would get.
        cost: What that file costs.
    """

    best: ArmResult
    alike: tuple[ArmResult, ...]
    behind: tuple[ArmResult, ...]
    smallest: ArmResult
    cost: Cost

    @property
    def words(self) -> str:
        """The choice in a sentence."""
        told = f"{self.best.name} has the highest accuracy in {FLOAT}, {100 * self.best.accuracy.value:.1f} %, n = {self.best.n:,}"
        file = f"{self.cost.scheme}: {cost_words(self.cost)}"
        if self.alike:
            told += f"; the data can't tell {_listed(self.alike)} from it; the smallest of these is {self.smallest.name}, {file}"
        else:
            told += f"; its file: {file}"
        if self.behind:
            told += f"; {_listed(self.behind)} {'is' if len(self.behind) == 1 else 'are'} worse"
        return told


def choose_network(study: Study) -> NetworkChoice | None:
    """Return what a study says of its networks; None where it is not of several, or nothing was measured of them."""
    floating = {arm.name: arm for arm in study.arms if arm.scheme == FLOAT}
    costs = {name: cost for name in floating if (cost := file_of(study, name)) is not None}
    if len(costs) < 2:
        return None
    best = max((floating[name] for name in costs), key=lambda arm: arm.accuracy.value)
    verdicts = {
        next(name for name in step.arms if name != best.name): step.verdict
        for step in study.comparisons
        if best.name in step.arms and step.arms[0] != step.arms[1] and step.schemes == (FLOAT, FLOAT)
    }
    others = [floating[name] for name in sorted(costs, key=lambda name: costs[name].size_bytes) if name != best.name]
    alike = tuple(arm for arm in others if verdicts.get(arm.name) == CANNOT_TELL)
    behind = tuple(arm for arm in others if verdicts.get(arm.name) not in (None, CANNOT_TELL))
    smallest = min((best, *alike), key=lambda arm: costs[arm.name].size_bytes)
    return NetworkChoice(best, alike, behind, smallest, costs[smallest.name])


def file_of(study: Study, name: str) -> Cost | None:
    """Return what the file of an arm costs that a device would get: the most accurate int8 one, unless int8 hurt; else float32."""
    accuracy = {(arm.name, arm.scheme): arm.accuracy.value for arm in study.arms}
    hurt = {
        step.schemes[1] for step in study.comparisons if step.of_int8 and step.arms[0] == name and step.verdict == HURT
    }
    rows = [row for row in study.costs.rows if row.arm == name and row.scheme not in hurt]
    return max(
        rows,
        key=lambda row: (row.scheme != FLOAT, accuracy.get((name, row.scheme), 0.0), -row.size_bytes),
        default=None,
    )


def cost_words(cost: Cost) -> str:
    """Return size and time of a file, `352 kB, 41 M multiply-accumulates, 1.93 ms`; a time that is not valid bears `~`."""
    told = [f"{cost.size_bytes / 1000:,.0f} kB", f"{cost.macs / 1e6:,.0f} M multiply-accumulates"]
    if cost.latency_ms is not None:
        told.append(f"{'' if cost.valid else '~'}{cost.latency_ms.value:.3g} ms")
    return ", ".join(told)


def _listed(arms: tuple[ArmResult, ...]) -> str:
    names = [arm.name for arm in arms]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
