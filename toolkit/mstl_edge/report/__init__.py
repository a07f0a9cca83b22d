"""Runs, benchmarks and studies → one HTML file that needs no network.

`sources` finds out what was named; `run_record`, `bench_record` and `study_record` read it; `run_section`, `mistakes`,
`card_section`, `bench_section` and `study_section` turn it into figures and tables (`blocks`), drawn by `chart` on `axis` in
escaped `markup`; `page` puts them on one page; `story` is the whole of it on one screen.
"""

from __future__ import annotations

from mstl_edge.report.story import Written, write_report

__all__ = ["Written", "write_report"]
