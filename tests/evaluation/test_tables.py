"""What tables add to the plain counts: worst rows, slices, novelty, the sweep, remarks; counts: test_evaluation.py."""

import numpy as np
import pandas as pd
import pytest
from scored import rows

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.evaluation.subjects import OperatingPoint
from fakeface.evaluation.tables import SliceError, tabulate

POINT = OperatingPoint(0.8, 0.3)


@pytest.fixture
def scores():
    """100 + 40 photographs, the second source with 4 at 0.9; 40 pictures of a good and 40 of a bad generator."""
    return pd.concat(
        [
            rows("all", "clean", 0, "ffhq", "none", np.linspace(0.01, 0.29, 100)),
            rows("all", "clean", 0, "lfw", "none", [0.1] * 36 + [0.9] * 4),
            rows("all", "clean", 1, "sdfd", "stable-diffusion-2.1", [0.95] * 40),
            rows("all", "clean", 1, "tpdne", "stylegan2", [0.2] * 30 + [0.85] * 10),
        ],
        ignore_index=True,
    )


def test_the_worst_row_stands_beside_the_mean(scores):
    found = {(row["of"], row["figure"]): row for row in tabulate(scores, POINT)["summary"]}
    sources = found["real_sources", "fpr"]
    assert (sources["mean"], sources["worst"], sources["worst_row"]) == (pytest.approx(0.05), 0.1, "lfw")
    missed = found["generators", "miss_rate"]
    assert (missed["mean"], missed["worst"], missed["worst_row"]) == (0.375, 0.75, "stylegan2")
    aucs = found["generators", "auc"]
    assert aucs["worst_row"] == "stylegan2"
    assert aucs["worst"] < aucs["mean"] < 1


def test_each_other_operating_point_has_a_row_for_split_and_view(scores):
    points = {
        "strict": {"fpr": 0.001, "threshold_generated": 0.92},
        "triage": {"fpr": 0.05, "threshold_generated": 0.2},
    }
    config = FakeFaceConfig(architecture="cnn", image_size=32, operating_points=points)  # pyright: ignore
    strict, triage = tabulate(scores, config)["points"]
    assert (strict["split"], strict["view"], strict["point"], strict["target_fpr"]) == ("all", "clean", "strict", 0.001)
    assert (strict["fpr_n"], strict["fpr"], strict["found_n"], strict["found"]) == (140, 0.0, 80, 0.5)
    assert strict["fpr_interval"][1] == pytest.approx(0.0267, abs=1e-4)
    assert (triage["point"], triage["found"]) == ("triage", 1.0)
    assert tabulate(scores, POINT)["points"] == []


def test_seen_and_unseen_generators_stand_apart_against_all_photographs(scores):
    assert tabulate(scores, POINT)["novelty"] == []
    seen, unseen = tabulate(scores, POINT, seen={"stylegan2"})["novelty"]
    assert (seen["generators"], seen["names"], seen["n_real"], seen["n_generated"]) == ("seen", ["stylegan2"], 140, 40)
    assert (unseen["generators"], unseen["names"], unseen["miss_rate"]) == ("unseen", ["stable-diffusion-2.1"], 0)


def test_families_stand_beside_generators_and_by_themselves(scores):
    more = rows("all", "clean", 1, "sdfd", "flux.1-dev", [0.85] * 20)
    found = tabulate(pd.concat([scores, more], ignore_index=True), POINT)
    assert {row["generator"]: row["family"] for row in found["generators"]} == {
        "stable-diffusion-2.1": "diffusion", "stylegan2": "gan", "flux.1-dev": "diffusion"
    }  # fmt: skip
    diffusion, gan = found["families"]
    assert (diffusion["family"], diffusion["n_generators"], diffusion["n_generated"]) == ("diffusion", 2, 60)
    assert (gan["family"], gan["miss_rate"], gan["auc"]) == ("gan", 0.75, found["generators"][2]["auc"])
    (worst,) = [row for row in found["summary"] if row["of"] == "families"]
    assert (worst["figure"], worst["worst_row"], worst["rows"]) == ("auc", "gan", 2)


def test_what_the_data_say_of_the_family_wins_picture_by_picture(scores):
    scores["family"] = [None] * 180 + ["PixDiff"] * 10 + ["GAN"] * 20 + ["what?"] * 10
    found = tabulate(scores, POINT)
    counts = {row["family"]: row["n_generated"] for row in found["families"]}
    assert counts == {"diffusion": 40 + 10, "gan": 30}
    assert {row["generator"]: row["family"] for row in found["generators"]}["stylegan2"] == "gan"


@pytest.mark.parametrize("nameless", ["unknown", "none", ""])
def test_generators_that_nobody_names_are_neither_seen_nor_unseen(scores, nameless):
    """They stood among the unseen; or among the seen, where validation had nameless ones too."""
    scores["generator"] = scores["generator"].replace("stable-diffusion-2.1", nameless)
    for seen in ({"stylegan2"}, {"stylegan2", nameless}):
        rows = {row["generators"]: row["names"] for row in tabulate(scores, POINT, seen=seen)["novelty"]}
        assert rows == {"seen": ["stylegan2"], "unknown": [nameless]}


def test_slices_count_errors_by_value(scores):
    scores["sex"] = ["f", "m"] * 110
    scores.loc[:9, "sex"] = None
    found = {row["value"]: row for row in tabulate(scores, POINT, slices=["sex"])["slices"]}
    assert {value: row["fpr_n"] + row["miss_rate_n"] for value, row in found.items()} == {
        "f": 105, "m": 105, "(none)": 10
    }  # fmt: skip
    assert found["m"]["fpr"] == pytest.approx(2 / 65)
    assert found["(none)"]["fpr"] is None
    assert found["(none)"]["miss_rate_n"] == 0


def test_many_numbers_are_cut_into_quarters_and_many_words_are_refused(scores):
    scores["age"] = range(220)
    found = tabulate(scores, POINT, slices=["age"])["slices"]
    assert sorted(row["value"] for row in found) == ["0 to 54", "110 to 164", "165 to 219", "55 to 109"]
    with pytest.raises(SliceError, match="column 'sha256' has 220 values"):
        tabulate(scores, POINT, slices=["sha256"])
    with pytest.raises(SliceError, match="no column 'height' to slice by; found split"):
        tabulate(scores, POINT, slices=["height"])


def test_steps_of_the_sweep_stand_in_a_table_of_their_own(scores):
    harder = scores.assign(view="JPEG 30", score=scores["score"] * 0.5)
    found = tabulate(pd.concat([scores, harder], ignore_index=True), POINT)
    assert len(found["overall"]) == 1
    (step,) = found["sweep"]
    assert (step["family"], step["strength"], step["n_real"]) == ("JPEG quality", 30.0, 140)
    assert step["mean_generated"] == pytest.approx(0.5 * (40 * 0.95 + 30 * 0.2 + 10 * 0.85) / 80)
    assert step["fpr"] == 0


def test_a_step_that_only_one_label_went_through_shows_what_the_score_hangs_on(scores):
    lower = scores.assign(view="JPEG 30", score=scores["score"] * 0.1)  # a detector that takes saved pictures for real
    (step,) = tabulate(pd.concat([scores, lower], ignore_index=True), POINT)["sweep"]
    assert step["auc"] == pytest.approx(tabulate(scores, POINT)["overall"][0]["auc"])  # both changed: nothing shows
    assert step["auc_real_changed"] > 0.98 > 0.2 > step["auc_generated_changed"]
    low, high = step["auc_generated_changed_interval"]
    assert low <= step["auc_generated_changed"] <= high


def test_a_sweep_without_its_clean_pictures_has_no_one_sided_figures(scores):
    (step,) = tabulate(scores.assign(view="JPEG 30"), POINT)["sweep"]
    assert "auc_real_changed" not in step


def test_the_surest_mistakes_come_first(scores):
    found = tabulate(scores, POINT)["mistakes"]
    assert [(row["label"], row["score"]) for row in found] == [(0, 0.9)] * 4 + [(1, 0.2)] * 12
    assert found[0]["source"] == "lfw"


def test_swapped_labels_are_said(scores):
    (remark,) = [one for one in tabulate(scores.assign(label=1 - scores["label"]), POINT)["remarks"] if "AUC" in one]
    assert "is far under 0.5: labels or scores are the wrong way round" in remark
    assert not [one for one in tabulate(scores, POINT)["remarks"] if "AUC" in one]


def test_one_label_alone_is_said(scores):
    found = tabulate(scores[scores["label"] == 0], POINT)
    assert found["remarks"] == [
        "all, clean: no figure that takes both labels can be stated: it takes pictures of both labels, and all are real"
    ]
    assert found["overall"][0]["fpr"] == pytest.approx(4 / 140)


def test_rates_that_cannot_be_resolved_and_nameless_generators_are_said(scores):
    remarks = tabulate(scores.assign(generator="unknown"), POINT)["remarks"]
    assert remarks == [
        "TPR at 0.5 % FPR is not stated for all, clean: "
        "140 real pictures cannot resolve a false-positive rate of 0.005: at least 200",
        "TPR at 0.1 % FPR is not stated for all, clean: "
        "140 real pictures cannot resolve a false-positive rate of 0.001: at least 1000",
        "pictures without the name of their generator stand together as `unknown`",
    ]


def test_scores_that_are_no_numbers_are_refused(scores):
    scores.loc[3, "score"] = float("nan")
    with pytest.raises(ValueError, match="1 scores are not finite numbers"):
        tabulate(scores, POINT)
