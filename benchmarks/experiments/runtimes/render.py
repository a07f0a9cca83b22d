"""How far the answers of runtimes lie apart."""

from __future__ import annotations

from rendered.markdown import read, table


def runtimes() -> str:
    """Return how far the runtimes' answers lie apart."""
    rows = []
    for model in read("runtimes.json")["models"]:
        for row in model["rows"]:
            apart, same = row["from_litert_x86"], row.get("from_same_runtime_x86")
            lsb = [f"{told['mean_lsb']:.2g}, {told['largest_lsb']:.2g}" if told else "–" for told in (apart, same)]
            labels = f"{apart['equal_labels']} of {row['n']}"
            rows.append(
                [
                    f"`{model['name']}` {model['scheme']}",
                    f"{row['runtime']} {row['version']}",
                    row["machine"],
                    labels,
                    *lsb,
                ]
            )
    columns = ["model", "runtime", "machine", "labels as by LiteRT on x86-64"]
    return table([*columns, "LSB from LiteRT on x86-64 (mean, largest)", "LSB from the same runtime on x86-64"], rows)


TABLES = {"runtimes": runtimes}
