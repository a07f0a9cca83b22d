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
        ("one machine, one worker", found["one_worker_s"], "one worker"),
        ("two machines, a worker and a cache each", found["two_workers_s"], "two workers"),
        ("four processes at once (`--task I/4`), then put together", found["four_shares_s"], "four array tasks"),
        (f"two machines, {found['workers_killed']} workers killed", found["killed_s"], "two workers, killed"),
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


def two_trainers() -> str:
    """Return how far two processes that train one stage are from one, and what that would bring each network."""
    found = read("two-trainers.json")
    steps = found["steps"]
    told = (
        f"After one step the weights differ from those of one process by {steps[0]:.1e} of the largest, "
        f"after {len(steps)} by {steps[-1]:.1e}; both processes have the same bytes."
    )
    speeds = list(found["networks"][0]["times_as_fast"])
    counts = list(found["networks"][0]["bytes_per_step"])
    rows = [
        [
            f"`{one['network']}`",
            f"{one['trained_parameters'] / 1e6:.2f}",
            f"{one['bytes_per_step'][counts[0]] / 1e6:.1f}",
            f"{1000 * one['step_s']:.0f}",
            *(" / ".join(f"{one['times_as_fast'][speed][count]:.1f}" for count in counts) for speed in speeds),
        ]
        for one in found["networks"]
    ]
    machines = " / ".join(counts)
    columns = [
        "network",
        "trained, M",
        f"MB a step, {counts[0]} machines",
        f"ms a step of {found['batch']}, one thread",
        *(f"times as fast with {machines} machines, {speed}" for speed in speeds),
    ]
    return f"{told}\n\n{table(columns, rows)}"
