"""What `study` ends with."""

from __future__ import annotations

from pathlib import Path

from mstl_edge import bounded
from mstl_edge.counted import counted
from mstl_edge.errors import typed
from mstl_edge.schemas.study import Comparison, Study
from mstl_edge.schemas.study_choice import choose_network
from mstl_edge_cli.console import Meaning
from mstl_edge_cli.endings.ending import Ending, Fact, share

VERDICTS: dict[str, Meaning] = {"helped": "good", "cannot tell": "doubtful", "hurt": "refused"}
"""What a study's words mean."""
_BRIDGE = ("single", "multi")
_FLOAT = "float32"


def study_ending(study: Study, folder: Path) -> Ending:
    """Return whether the bridge helped, whether int8 hurt, the best arm with its n, and where the study lies."""
    best = max(study.arms, key=lambda arm: arm.accuracy.value)
    choice = choose_network(study)
    facts = (
        *([] if choice is None else [Fact("network", choice.words)]),
        *(Fact("bridge", _words(step), _meaning(step)) for step in _bridge(study)),
        *_int8(study),
        *_cpus(study),
        Fact("best", f"{best.title}: {share(best.accuracy)} accuracy on {counted(best.n, 'image')}, each out of fold"),
        Fact("study", str(folder)),
    )
    return Ending(facts, typed("mstl-edge", "report", folder))


def _cpus(study: Study) -> list[Fact]:
    """Say that trainings ran on CPUs of several kinds, where they did: equal ones may then differ in their last bits."""
    kinds = study.provenance.cpus
    return (
        [Fact("cpus", f"of {len(kinds)} kinds, so that last bits may differ: {'; '.join(kinds)}")]
        if len(kinds) > 1
        else []
    )


def _bridge(study: Study) -> list[Comparison]:
    """Return what the study was planned to ask, else what the bridge did to the float model."""
    asked = [step for step in study.comparisons if step.primary]
    return asked[:1] or [step for step in study.comparisons if step.arms == _BRIDGE and step.schemes[0] == _FLOAT][:1]


def _int8(study: Study) -> list[Fact]:
    """Return what int8 did to the arm that matters, and how many such comparisons could tell."""
    steps = [step for step in study.comparisons if step.of_int8]
    if not steps:
        return []
    shown = next((step for step in reversed(steps) if step.arms[0] == _BRIDGE[1]), steps[-1])
    hurt = sum(step.verdict == "hurt" for step in steps)
    told = f"; of {counted(len(steps), 'such comparison')} {hurt} {'is' if hurt == 1 else 'are'} a loss"
    return [Fact("int8", f"{_words(shown)}{told if len(steps) > 1 else ''}", _meaning(shown))]


def _words(step: Comparison) -> str:
    points = bounded.points(step.difference, step.low, step.high)
    counted_images = f" with n = {step.n:,}" if step.n else ""
    return f"{step.verdict}{counted_images}: {step.a} → {step.b}, {points}"


def _meaning(step: Comparison) -> Meaning | None:
    return VERDICTS.get(step.verdict)
