"""benchmarks/out_of_scope.py: its rows, and the table in docs/results.md of the committed ones."""

import csv
from pathlib import Path

from benchmarks.out_of_scope import as_markdown, row_of
from fakeface import Result


def test_a_row_counts_verdicts_and_leaves_out_what_cannot_be_read():
    broken = Result("c.png", None, None, error="c.png: ends too early; send it again")
    row = row_of("cnn", "drawn faces", True, [Result("a.png", 0.1, "real"), Result("b.png", None, "no face"), broken])
    assert row == {
        "model": "cnn", "kind": "drawn faces", "judged": "faces that are found", "n": 2, "refused": 1,
        "real": 1, "uncertain": 0, "generated": 0, "no face": 1,
    }  # fmt: skip


def test_the_page_shows_the_committed_figures(repo: Path):
    block = (repo / "docs" / "results.md").read_text(encoding="utf-8").partition("<!-- out of scope: ")[2]
    shown = block.partition(" -->\n")[2].partition("<!-- end of out of scope -->")[0].strip()
    kept = list(csv.DictReader((repo / "benchmarks" / "out_of_scope.csv").read_text(encoding="utf-8").splitlines()))
    assert kept
    assert shown == as_markdown(kept)
