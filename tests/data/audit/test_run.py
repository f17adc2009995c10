"""The audit finds planted leaks, and is quiet where there is none."""

import json

import numpy as np
import pytest
from planted import other_quality, other_side, planted
from tiny import tiny_folder

from fakeface.data.audit.features import Features
from fakeface.data.audit.probes import PROBES, Finding, run_probes
from fakeface.data.audit.run import _transforms, audit, conclusion, grade, measured, together
from fakeface.data.loading import DataError
from fakeface.detector.detector import Detector

N = 100


def probes(result):
    return {probe["name"]: probe for probe in result.report["probes"]}


def test_a_planted_jpeg_quality_is_found():
    result = audit(planted(N, quality=other_quality))
    found = probes(result)
    assert found["jpeg"]["auc"] >= 0.95
    assert found["jpeg"]["verdict"] == "gives the label away"
    assert not found["format"]["leaks"]
    assert not found["size"]["leaks"]
    assert "The label can be told by" in result.report["verdict"]
    assert len(found["jpeg"]["examples"]) == 8
    assert {row["source"] for row in found["jpeg"]["sources"]} == {"camera-a", "camera-b", "gan-a", "gan-b"}


def test_a_planted_size_is_found():
    found = probes(audit(planted(N, side=other_side)))
    assert found["size"]["auc"] >= 0.95
    assert found["surface-stored"]["auc"] >= 0.95
    assert not found["jpeg"]["leaks"]


@pytest.fixture(scope="module")
def clean():
    return audit(planted(N), measure=Features())


def test_a_clean_set_is_left_in_peace(clean):
    for probe in clean.report["probes"]:
        if probe["auc"] is not None:
            low, high = probe["interval"]
            assert low <= 0.5 <= high, probe["name"]
    # 50 pictures of a label leave an interval that reaches beyond 0.6 around one half.
    assert clean.report["verdict"].startswith("Too few pictures to tell: on 100, ")
    unsure = [probe for probe in clean.report["probes"] if probe["needed"]]
    assert unsure
    for probe in unsure:
        assert probe["interval"][1] >= 0.6
        assert probe["verdict"] == f"too few pictures to tell; about {probe['needed']:,} are needed"
    assert {probe["n"] for probe in clean.report["probes"]} == {100}


def test_what_is_not_there_is_not_measured(clean):
    found = probes(clean)
    assert found["position"]["verdict"] == "not measured: no face finder was given"
    assert found["native"]["verdict"] == "not measured: the dataset has nothing to measure it by"


def test_the_report_is_plain_json(clean):
    assert json.loads(json.dumps(clean.report)) == clean.report
    assert clean.report["pictures"] == {"real": 50, "generated": 50}
    assert clean.report["sources"][0] == {"source": "camera-a", "label": 0, "generator": "none", "n": 25}


def test_on_random_labels_every_interval_holds_one_half(clean):
    labels = np.random.default_rng(0).permutation(np.arange(N) % 2)
    for finding in run_probes(clean.features, labels, np.arange(N)):
        if finding.interval:
            low, high = finding.interval
            assert low <= 0.5 <= high, finding.probe.name


def test_broken_pictures_are_named_and_the_rest_goes_on():
    broken = planted(12).map(
        lambda row, i: {"image": {"bytes": b"no picture", "path": None}} if i in (3, 8) else row, with_indices=True
    )
    dataset, features, phashes, refused = measured(broken, Features())
    words = "not a picture, whatever its name says; give a JPEG, PNG or WebP file"
    assert refused == [f"row 3: {words}", f"row 8: {words}"]
    assert len(dataset) == len(features) == len(phashes) == 10
    assert features["file.jpeg.quality"].between(55, 96).all()


def test_the_number_of_processes_changes_nothing():
    alone, two = (measured(planted(6), Features(), workers)[1] for workers in (1, 2))
    assert alone.equals(two)


def test_too_few_pictures_are_refused():
    with pytest.raises(DataError, match="faces: only 10 real pictures: at least 20 are needed"):
        audit(planted(20), name="faces")


def test_recorded_groups_and_pairs_stay_together():
    data = planted(6).add_column("group", [0, 0, 1, 2, 3, None]).add_column("pair", [5, 6, 6, 7, 8, None])
    # Unrelated hashes; the first three are linked by group 0 and pair 6.
    hashes = [f"{value:016x}" for value in np.random.default_rng(0).integers(0, 2**63, 6)]
    groups = together(data, hashes).tolist()
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups)) == 4
    assert len(set(together(data, [hashes[0]] * 6).tolist())) == 1


def finding(name, auc, low):
    probe = next(probe for probe in PROBES if probe.name == name)
    return Finding(probe, auc, (low, auc + 0.01), 0.99, "", {}, np.zeros(1000))


def test_grades():
    words = [grade(finding("light", auc, low)) for auc, low in [(0.97, 0.9), (0.85, 0.8), (0.7, 0.6), (0.6, 0.55)]]
    assert words == ["gives the label away", "a strong leak", "a clear leak", "a weak leak"]
    assert grade(finding("light", 0.55, 0.49)) == "no sign of a leak"
    assert grade(finding("light", 0.6, 0.49)) == "too few pictures to tell; about 1,300 are needed"


def test_the_verdict_is_on_the_pictures_not_on_what_is_recorded_of_them():
    quiet = finding("light", 0.52, 0.45)
    assert conclusion([finding("native", 0.99, 0.98), quiet]).startswith("None of 1 probes")
    unsure = conclusion([finding("size", 0.59, 0.45), quiet])
    assert unsure == (
        "Too few pictures to tell: on 1,000, 1 of 2 probes exclude neither chance nor an AUC of 0.6; about 1,100 are "
        "needed."
    )
    assert conclusion([finding("jpeg", 0.99, 0.98), finding("size", 0.59, 0.45)]).endswith(unsure)
    words = conclusion([finding("size", 0.7, 0.6), finding("jpeg", 0.99, 0.98), quiet])
    assert words.startswith("The label can be told by 2 of 3 probes. JPEG quality is the worst: gives the label away")


def test_a_model_is_tested_on_pictures_of_both_labels(tmp_path):
    detector = Detector.from_pretrained(tiny_folder(tmp_path / "model"), device="cpu", faces=False)
    rows = _transforms(detector, planted(9), np.arange(9) % 2)
    assert [row["transform"] for row in rows][:2] == ["JPEG, quality 50", "WebP, quality 60"]
    assert all(0 <= row["auc_real_changed"] <= 1 for row in rows)
    assert max(abs(row["shift_real"]) for row in rows) > 0
