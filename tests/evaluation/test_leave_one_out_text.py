"""The report of leaving one out in Markdown and CSV."""

import csv
import io

from fakeface.evaluation.leave_one_out_report import as_csv, markdown


def made(generator, auc, seen):
    return {
        "generator": generator, "view": "clean", "n_real": 200, "n_generated": 100,
        "auc": auc, "auc_interval": (auc - 0.01, auc + 0.01), "tpr_at_fpr_0.01": None,
        "miss_rate_n": 100, "miss_rate": 0.25, "miss_rate_interval": (0.2, 0.3), "seen": seen,
    }  # fmt: skip


REPORT = {
    "remarks": ["one | thing"],
    "generators": [made("stylegan", 0.7, made("stylegan", 0.95, None)), made("e|4e", 0.6, None)],
    "real_sources": [
        {"source": "lfw", "view": "clean", "fpr_n": 50, "fpr": 0.1, "fpr_interval": (0.05, 0.2), "seen": None}
    ],
    "summary": [
        {"split": "held out", "view": "clean", "of": "generators", "figure": "auc", "rows": 2, "mean": 0.65,
         "worst": 0.6, "worst_interval": (0.59, 0.61), "worst_row": "e|4e"}
    ],
}  # fmt: skip


def test_held_out_stands_beside_seen():
    lines = markdown(REPORT).splitlines()
    assert lines[0] == "- one \\| thing"
    assert (
        "| stylegan | clean | 200 | 100 | 0.700 (0.690–0.710) | 0.950 (0.940–0.960) | – | – "
        "| 25.0 % (20.0–30.0) | 25.0 % (20.0–30.0) |" in lines
    )
    assert "| lfw | clean | 50 | 10.0 % (5.0–20.0) | kept out of all |" in lines
    assert "| held out | clean | generators | AUC | 2 | 0.650 | 0.600 (0.590–0.610) | e\\|4e |" in lines


def test_every_figure_has_a_line():
    rows = list(csv.DictReader(io.StringIO(as_csv(REPORT))))
    assert [(row["name"], row["training"], row["figure"]) for row in rows] == [
        *[("stylegan", training, figure) for training in ("held out", "seen")
          for figure in ("auc", "tpr_at_fpr_0.01", "miss_rate")],
        *[("e|4e", "held out", figure) for figure in ("auc", "tpr_at_fpr_0.01", "miss_rate")],
        ("lfw", "held out", "fpr"),
    ]  # fmt: skip
    assert (rows[0]["value"], rows[0]["n_real"], rows[0]["n_generated"]) == ("0.7", "200", "100")
    formula = {**REPORT, "generators": [made("=1+1", 0.7, None)]}
    assert {row["name"] for row in csv.DictReader(io.StringIO(as_csv(formula)))} == {"'=1+1", "lfw"}
    assert (rows[-1]["low"], rows[-1]["high"], rows[-1]["n_real"]) == ("0.05", "0.2", "50")
