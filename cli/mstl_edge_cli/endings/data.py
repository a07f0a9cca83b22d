"""What `data check` ends with."""

from __future__ import annotations

from collections.abc import Mapping

from mstl_edge.counted import counted
from mstl_edge.data.audit import Audit
from mstl_edge.errors import typed
from mstl_edge_cli.endings.ending import Ending, Fact, first_of


def check_ending(audit: Audit, settings: Mapping[str, str], *, resplit: bool) -> Ending:
    """Return whether a data set can be trained on: ready, ready with doubts, or not, and why.

    Args:
        audit: The findings.
        settings: Options of 'run' that read the data as they were read here; empty ones are left out.
        resplit: Whether declared splits were to be ignored.
    """
    images = f"{audit.images:,} of {counted(len(audit.classes), 'class', 'classes')}"
    chosen = [word for option, value in settings.items() if value for word in (option, value)]
    dealt_anew = resplit or bool(audit.leaks)
    command = typed("mstl-edge", "run", audit.source, *chosen, *(["--resplit"] if dealt_anew else []))
    if audit.errors and audit.leaks and len(audit.errors) == 1 and not resplit:
        verdict = "not ready as declared: the splits share patients or near-duplicates; ready if they are dealt anew"
        return Ending((Fact("verdict", verdict, "doubtful"), Fact("images", images)), command)
    if audit.errors:
        errors = f"{counted(len(audit.errors), 'error')} above {'has' if len(audit.errors) == 1 else 'have'} to be mended first"
        return Ending((Fact("verdict", f"not ready: {errors}", "refused"), Fact("images", images)))
    doubtful = [warning.words for warning in audit.warnings] + [way.brief for way in audit.shortcuts if way.tells]
    if doubtful:
        doubts = first_of(doubtful, what="finding")
        return Ending((Fact("verdict", f"ready, but {doubts}", "doubtful"), Fact("images", images)), command)
    return Ending(
        (Fact("verdict", "ready: nothing was found that training would stumble over", "good"), Fact("images", images)),
        command,
    )
