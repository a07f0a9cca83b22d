"""What a cluster brought a study, measured on two machines and reckoned for more."""

from __future__ import annotations

from typing import Any

from rendered.markdown import read, table


def cluster() -> str:
    """Return seconds of one process, of workers and of shares, whose bytes they left, and what many workers would take."""
    found = read("cluster.json")
    return "\n\n".join((_measured(found), _told(found), _paper(found["on_paper"])))


def _measured(found: Any) -> str:
    one = found["one_process_s"]
    rows = [
        ("one process, one thread", one, ""),
        ("one machine, one worker", found["one_worker_s"], "one_worker"),
        ("two machines, a worker and a cache each", found["two_workers_s"], "two_workers"),
        ("four processes at once (`--task I/4`), then put together", found["four_shares_s"], "four_shares"),
        (f"two machines, {found['workers_killed']} workers killed", found["killed_s"], "killed"),
    ]
    equal = found["equal_bytes"]
    told = {True: "equal to the byte", False: "**differ**"}
    return table(
        ["who did it", "seconds", "of one process", "answers"],
        [[who, f"{s:.0f}", f"{one / s:.2f} times as fast", told[equal[name]] if name else ""] for who, s, name in rows],
    )


def _told(found: Any) -> str:
    share = found["one_worker_s"] / found["one_process_s"] - 1
    slower = sum(found["task_s_beside_another"]) / sum(found["task_s"]) - 1
    return " ".join(
        (
            f"{found['trainings']} trainings of {min(found['task_s']):.0f} to {max(found['task_s']):.0f} s on {found['cpu']}.",
            "The engine, starting its processes and sending the study included, costs",
            f"{100 * share:+.0f} % with one worker, and {found['serial_s']:.0f} s are serial whatever the workers",
            "(start, plan, images, summary). Both workers share this machine's memory: a training takes",
            f"{100 * slower:.0f} % longer with another beside it, so that no more than {2 / (1 + slower):.2f} times could be had.",
        )
    )


def _paper(paper: Any) -> str:
    count = paper["arms"] * paper["trainings of each"]
    first = paper["seconds"]["1"]
    what = f"{count} trainings ({paper['arms']} networks, {paper['trainings of each']} folds)"
    head = f"Not measured but reckoned: {what} like these, each given to the first worker that is free."
    rows = [
        [workers, _span(seconds), f"{first / seconds:.1f}", f"{100 * first / seconds / int(workers):.0f} %"]
        for workers, seconds in paper["seconds"].items()
    ]
    return f"{head}\n\n{table(['workers', 'time', 'times as fast', 'of the workers used'], rows)}"


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


TABLES = {"cluster": cluster}
