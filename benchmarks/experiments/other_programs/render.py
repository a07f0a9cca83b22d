"""Tables of what other programs answer with our files, and of what weights of 7 bits cost."""

from __future__ import annotations

from typing import Any

from rendered.markdown import read, share, table

_ISA = {"": "this CPU's own", "AVX512_CORE": "AVX-512 without VNNI"}


def answers() -> str:
    """Return each program's labels and probabilities beside LiteRT's."""
    tree = read("other-programs.json")
    rows = [
        [
            f"{row['program']} {row['version']}",
            _file(run, row),
            row["setting"]
            if row["setting"].startswith("a ")
            else f"`{row['setting']}`".replace("`default`", "default"),
            _ISA.get(row["isa"], row["isa"]) if row["program"] == "OpenVINO" else "–",
            f"{row['equal_labels']} of {row['n']}",
            f"{row['mean_difference']:.3f}, {row['largest_difference']:.3f}",
        ]
        for run in tree["runs"]
        for row in run["programs"]
    ]
    columns = ["program", "file", "setting", "instructions", "labels as by LiteRT", "difference in p: mean, largest"]
    return f"Measured on {tree['machine']}{', which has VNNI' if tree['vnni'] else ''}.\n\n{table(columns, rows)}"


def _file(run: Any, row: Any) -> str:
    return f"int8, {run['weight_bits']} bits" if row["file"] == "int8" else str(row["file"])


def weight_bits() -> str:
    """Return what the gate saw of 8 and of 7 bits."""
    rows = [
        [
            f"`{run['recipe']}`, seed {run['seed']}",
            row["scheme"],
            run["weight_bits"] if row["agreement"] else "–",
            f"{share(row['accuracy'])}, n = {_validation_n(run)}",
            share(row["agreement"]["agreement"]) if row["agreement"] else "–",
            f"{row['agreement']['mean_difference']:.3f}" if row["agreement"] else "–",
            row["verdict"] or "–",
        ]
        for number, run in enumerate(read("other-programs.json")["runs"])
        for row in run["candidates"]
        if row["agreement"] or not number
    ]
    columns = [
        "run", "file", "weight bits", "validation % (95 %)", "agreement with float % (95 %)", "mean difference in p",
        "gate",
    ]  # fmt: skip
    return table(columns, rows)


def _validation_n(run: Any) -> int:
    return next(int(row["validation_n"]) for row in run["candidates"] if row["validation_n"])


TABLES = {"other-programs": answers, "weight-bits": weight_bits}
