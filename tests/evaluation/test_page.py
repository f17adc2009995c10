"""The page: one file that loads nothing, in which nothing of a stranger's is taken for markup."""

import re

import numpy as np
import pandas as pd
import pytest
from datasets import DatasetDict
from planted import planted

from fakeface.data.loading import checked
from fakeface.delivery.sweep import SWEEP
from fakeface.evaluation.page import as_html, reliability, write_page
from fakeface.evaluation.subjects import OperatingPoint
from fakeface.evaluation.tables import tabulate

NASTY = '<script>alert(1)</script> "quoted" | & more'


@pytest.fixture(scope="module")
def splits():
    return DatasetDict({"test": checked(planted(60))[0]})


@pytest.fixture(scope="module")
def scores(splits):
    table = splits["test"].remove_columns(["image", "phash"]).to_pandas()
    table["source"] = table["source"].replace("gan-a", NASTY)
    rng = np.random.default_rng(0)
    views = ["clean", "delivered", *SWEEP]
    scored = [table.assign(split="test", view=view, score=rng.beta(2 + table["label"], 2)) for view in views]
    return pd.concat(scored, ignore_index=True)


@pytest.fixture(scope="module")
def page(scores, splits):
    facts = {"command": NASTY, "model": NASTY, "architecture": "cnn", "weights_sha256": "ab" * 32}
    data = {"test": {"pictures": 60, "fingerprint": "f"}}
    return as_html(scores, {**facts, "data": data, **tabulate(scores, OperatingPoint())}, splits)


def test_it_has_all_drawings_and_tables(page):
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        "ROC", "Reliability", "Scores", "Risk and coverage", "Delivery sweep", "Overall", "Overall, the other figures",
        "What uncertain is good for", "The worst row beside the mean", "Generators", "Families of generators",
        "Real sources", "Delivery sweep", "The worst mistakes",
    ]  # fmt: skip
    assert page.count("<svg role") == 5
    assert "mathdefault" not in page  # labels of log axes once were formulas
    for name in ("JPEG quality", "rescale factor", "two hops"):
        assert name in page


def test_it_loads_nothing_and_takes_no_name_for_markup(page):
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert addresses
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in addresses)


def test_the_worst_mistakes_are_shown_as_pictures(page, scores):
    wrong = scores[(scores["view"] == "clean") & (scores["label"] == 0) & (scores["score"] >= 0.5)]
    worst = wrong.sort_values("score", ascending=False).iloc[0]
    first = page[page.index("Photographs called generated, test") :]
    assert first.index(worst["sha256"][:12]) < first.index("</figure>")
    assert page.count("data:image/jpeg") >= min(12, len(wrong))


def test_without_the_data_mistakes_are_named(scores, splits):
    report = {"command": "c", "model": "m", "architecture": "cnn", "weights_sha256": "ab" * 32, "data": {}}
    page = as_html(scores, {**report, **tabulate(scores, OperatingPoint())})
    assert "data:image/jpeg" not in page
    assert "Photographs called generated, test" in page


def test_one_label_alone_still_gives_a_page(scores):
    one = scores[scores["label"] == 0]
    report = {"command": "c", "model": "m", "architecture": "cnn", "weights_sha256": "ab" * 32, "data": {}}
    page = as_html(one, {**report, **tabulate(one, OperatingPoint())})
    assert "all are real" in page
    assert "<h2>ROC</h2>" not in page


def test_reliability_of_literals():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.32, 0.9])
    mean_score, share = reliability(labels, scores, bins=10)
    assert mean_score == pytest.approx([0.1, 0.31, 0.9])
    assert share == pytest.approx([0, 0.5, 1])


def test_what_cannot_be_written_is_named(scores, tmp_path):
    (tmp_path / "file").touch()
    report = {"command": "c", "model": "m", "architecture": "cnn", "weights_sha256": "ab" * 32, "data": {}}
    report |= tabulate(scores, OperatingPoint())
    with pytest.raises(ValueError, match=r"file: cannot be written \(File exists\); name another folder with --out"):
        write_page(tmp_path / "file" / "page.html", scores, report)
