"""benchmarks/summary.py: figures come from the CSV files, and docs/benchmarks.md shows the committed ones."""

from pathlib import Path

import pytest

from benchmarks.summary import as_markdown


def test_rows_come_from_the_csv_files_that_are_there(tmp_path):
    (tmp_path / "start.csv").write_text(
        "process,rounds,seconds,cpu_s,ratio\npredict,5,5.7,6.0,1.377\n--help,5,0.36,0.3551,0.085\n"
    )
    (tmp_path / "score.csv").write_text(
        "what,precision,n,ratio,over_pipeline,peak_mib\n"
        "score without faces,bfloat16 channels last,2000,0.91,3.5,\n"
        "score with faces,bfloat16 channels last,2000,0.76,2.5,\n"
        "score without faces,float32,2000,0.93,1.5,\nscore with faces,float32,2000,0.82,1.5,\n"
        "peak memory,,1000,1,,800\npeak memory,,50000,1.1,,880\n"
    )
    (tmp_path / "score_kills.csv").write_text("kill,seconds,units\n1,2.5,1\n2,3.5,2\nequal to it,,no\n")
    (tmp_path / "cascade.csv").write_text(
        "way,decided_by_fast,agrees,auc,ratio\nfast,1,0.7,0.75,6\nthorough,0,1,0.93,1\ncascade,0.412,0.987,0.9255,1.6\n"
    )
    text = as_markdown(tmp_path)
    assert "| 0.91 | `score.csv` |" in text
    assert "without it, over the stock `pipeline` | 3.50 |" in text
    assert "at 50,000 pictures, over that at 1,000 | 1.100 |" in text
    assert "| 2 kills, equal to an undisturbed run: no |" in text
    assert "| 1.38 | `start.csv` |" in text
    assert "| 0.36 s |" in text
    assert "| 1.60; 41 % decided by the fast model, 98.7 % same verdicts, AUC -0.005 | `cascade.csv` |" in text
    assert len(text.splitlines()) == 2 + 6 + 1 + 1 + 2


def test_a_row_that_is_missing_from_a_file_is_no_figure(tmp_path):
    (tmp_path / "start.csv").write_text("process,rounds,seconds,cpu_s,ratio\npredict,5,5.7,6.0,1.377\n")
    with pytest.raises(ValueError, match="can only convert"):
        as_markdown(tmp_path)


def test_the_page_shows_the_committed_figures(repo: Path):
    block = (repo / "docs" / "benchmarks.md").read_text(encoding="utf-8").partition("<!-- benchmarks: ")[2]
    shown = block.partition(" -->\n")[2].partition("<!-- end of benchmarks -->")[0].strip()
    assert shown == as_markdown()
