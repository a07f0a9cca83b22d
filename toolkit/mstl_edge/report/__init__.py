"""Runs, benchmarks and studies → one HTML file that needs no network.

`sources` finds out what was named; `run_record`, `study_record` and `schemas.bench` read it, `paired` and `study_answers` what
images were answered with (`answers`); `run_section`, `study_section` and `bench_section` turn it into figures and tables
(`blocks`), with `answer_figures` and `mistakes` for the answers of runs and studies alike, drawn by `chart` on `axis` in escaped
`markup`; `page` puts them on one page; `story` is the whole of it on one screen.
"""

from __future__ import annotations

from mstl_edge.report.story import Written, write_report

__all__ = ["Written", "write_report"]
