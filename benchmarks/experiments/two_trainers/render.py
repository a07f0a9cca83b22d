"""What one stage trained by two processes comes to, and what it would bring each network."""

from __future__ import annotations

from rendered.markdown import read, table


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


TABLES = {"two-trainers": two_trainers}
