"""Figures of a model on what it was trained without."""

import json

from planted import planted
from tiny import tiny_folder

from fakeface.leave_one_out_figures import Entry, measure
from fakeface.measured_data import held_out
from fakeface.recipe import Recipe


def test_a_source_left_out_gets_its_false_positives_at_the_operating_point(tmp_path):
    planted(240, side=lambda label, rng: 32).to_parquet(tmp_path / "data.parquet")
    recipe = Recipe(data=[str(tmp_path / "data.parquet")], hold_out=["camera-b"], workers=0)
    model = tiny_folder(tmp_path / "run" / "model", threshold_generated=0.0, threshold_real=0.0, target_fpr=0.01)
    facts = {"versions": {}, "python": "", "device": "cpu", "mixed_precision": "no", "processes": 1}
    (model.parent / "run.json").write_text(json.dumps(facts))
    entry = Entry("source", "camera-b", held_out(recipe)[0], tmp_path)
    options = {"limit": 0, "device": "cpu", "batch_size": 32, "workers": 0}
    record = measure(recipe, entry, **options)
    # At a threshold of 0 every picture is called generated; nothing but the source is measured.
    assert [(row["source"], row["view"], row["fpr_n"], row["fpr"]) for row in record["real_sources"]] == [
        ("camera-b", "clean", 60, 1.0), ("camera-b", "delivered", 60, 1.0)
    ]  # fmt: skip
    assert record["generators"] == []
    assert record["operating_point"] == {"threshold_generated": 0.0, "target_fpr": 0.01}
    (row, _) = measure(recipe, entry, **{**options, "limit": 25})["real_sources"]
    assert row["fpr_n"] == 25
