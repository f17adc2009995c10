"""benchmarks/found_faces.py: its rows and the table; the detectors have their own tests."""

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks.found_faces import as_markdown, rows_of
from fakeface import Result


def result(score: float | None, verdict: str) -> Result:
    return Result("a.png", score, verdict)


@pytest.fixture
def rows():
    whole = [result(0.1, "real"), result(0.6, "uncertain"), result(0.5, "uncertain"), result(0.99, "generated")]
    found = [result(0.2, "real"), result(None, "no face"), result(0.99, "generated"), result(0.1, "real")]
    return rows_of("test", np.array([0, 0, 1, 1]), {"as it is": whole, "found faces": found})


def test_auc_is_over_pictures_with_a_face_and_verdicts_over_all(rows):
    whole, found = rows
    assert whole["n_with_face"] == found["n_with_face"] == 3
    assert whole["auc"] == 1.0  # of the three with a face
    assert found["auc"] == 0.5
    assert (whole["real: uncertain"], whole["real: no face"], whole["generated: generated"]) == (1, 0, 1)
    assert (found["real: no face"], found["generated: real"], found["generated: generated"]) == (1, 1, 1)
    assert found["n_real"] == found["n_generated"] == 2


def test_the_table_gives_shares_of_a_label(rows):
    lines = as_markdown(rows).splitlines()
    assert lines[0].startswith("| pictures, judged | AUC | real called real |")
    assert lines[3].startswith("| test (2 + 2), found faces | 0.500 (")
    assert lines[3].endswith("| 50.0 % | 0.0 % | 0.0 % | 50.0 % | 50.0 % | 0.0 % | 50.0 % | 0.0 % |")


def test_the_page_shows_the_committed_figures(repo: Path):
    block = (repo / "docs" / "results.md").read_text(encoding="utf-8").partition("<!-- found faces: ")[2]
    shown = block.partition(" -->\n")[2].partition("<!-- end of found faces -->")[0].strip()
    kept = csv.DictReader((repo / "benchmarks" / "found_faces.csv").read_text(encoding="utf-8").splitlines())
    words = {"split", "way"}
    assert shown == as_markdown(
        [{k: v if k in words else float(v) if "auc" in k else int(v) for k, v in row.items()} for row in kept]
    )
