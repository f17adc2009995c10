"""Tables of a report, from scores typed in by hand."""

import json

import pandas as pd
import pytest
from scored import rows

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.evaluation.report import markdown, tabulate, write_report
from fakeface.reports.markdown import figure, percent


@pytest.fixture
def config():
    return FakeFaceConfig(
        architecture="cnn", image_size=16, threshold_generated=0.8, threshold_real=0.3, target_fpr=0.01
    )


@pytest.fixture
def scores():
    """Clean test pictures: 100 + 30 photographs, one of them at 0.9; 20 from each of two generators."""
    return pd.concat(
        [
            rows("test", "clean", 0, "ffhq", "none", [0.1] * 99 + [0.9]),
            rows("test", "clean", 0, "lfw", "none", [0.2] * 30),
            rows("test", "clean", 1, "sdfd", "stable-diffusion-2.1", [0.95] * 18 + [0.5, 0.05]),
            rows("test", "clean", 1, "tpdne", "stylegan2", [0.85] * 20),
        ],
        ignore_index=True,
    )


def test_overall_counts_errors_at_the_stored_thresholds(scores, config):
    (overall,) = tabulate(scores, config)["overall"]
    assert (overall["n_real"], overall["n_generated"]) == (130, 40)
    assert overall["fpr"] == pytest.approx(1 / 130)
    assert overall["miss_rate"] == pytest.approx(1 / 40)
    assert overall["uncertain"] == pytest.approx(1 / 170)
    # One generated picture lies below all photographs, one below a single photograph, twenty beside one above them.
    assert overall["auc"] == pytest.approx(1 - (130 + 1 + 20) / (130 * 40))
    low, high = overall["auc_interval"]
    assert low < overall["auc"] < high


def test_each_generator_stands_against_all_photographs_of_its_split(scores, config):
    found = {row["generator"]: row for row in tabulate(scores, config)["generators"]}
    assert found["stylegan2"]["n_real"] == 130
    assert found["stylegan2"]["auc"] == pytest.approx(129 / 130)
    assert found["stylegan2"]["miss_rate"] == 0
    assert found["stable-diffusion-2.1"]["miss_rate"] == pytest.approx(1 / 20)


def test_photographs_kept_out_of_training_are_pooled_over_validation_and_test(scores, config):
    more = rows("validation", "clean", 0, "ffhq", "none", [0.99] * 100)
    found = tabulate(pd.concat([scores, more]), config)["kept_out"]
    ffhq = next(row for row in found if row["source"] == "ffhq")
    assert (ffhq["fpr_n"], ffhq["fpr"]) == (200, pytest.approx(101 / 200))


def test_too_few_pictures_give_a_dash_not_a_rate(scores, config):
    few = rows("test", "clean", 0, "phone", "none", [0.9] * 19)
    report = tabulate(pd.concat([scores, few]), config)
    phone = next(row for row in report["real_sources"] if row["source"] == "phone")
    assert phone["fpr"] is None
    assert percent(phone, "fpr") == "–"


def test_a_split_of_one_label_has_no_auc(config):
    report = tabulate(rows("unseen", "clean", 0, "phone", "none", [0.1] * 120), config)
    (overall,) = report["overall"]
    assert overall["auc"] is None
    assert overall["ece"] is None
    assert figure(overall, "auc") == "–"
    assert report["generators"] == []


def test_report_files(scores, config, tmp_path):
    report = {"weights_sha256": "0" * 64, **tabulate(scores, config)}
    write_report(tmp_path / "out", scores, report)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["overall"][0]["n_real"] == 130
    assert len(pd.read_csv(tmp_path / "out" / "scores.csv")) == 170
    write_report(
        tmp_path / "named", scores.assign(source="=1+1"), {**report, **tabulate(scores.assign(source="=1+1"), config)}
    )
    assert set(pd.read_csv(tmp_path / "named" / "scores.csv")["source"]) == {"'=1+1"}
    assert "'=1+1" in (tmp_path / "named" / "evaluation.csv").read_text()
    assert "| ffhq | test | clean | 100 | 1.0 % (0.2–5.4) |" in markdown(report)
    lines = (tmp_path / "out" / "evaluation.csv").read_text().splitlines()
    assert len([line for line in lines if line.startswith("generators,test,clean,stylegan2,auc,")]) == 1
    assert len([line for line in lines if line.startswith("families,test,clean,gan,auc,")]) == 1


def test_a_report_of_before_there_were_families_is_read(scores, config):
    report = {"weights_sha256": "0" * 64, **tabulate(scores, config)}
    del report["families"]
    report["generators"] = [{k: v for k, v in row.items() if k != "family"} for row in report["generators"]]
    text = markdown(report)
    assert "| stylegan2 | gan | test | clean |" in text
    assert "Families of generators" not in text
