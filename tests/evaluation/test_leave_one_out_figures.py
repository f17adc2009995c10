"""Figures of a model on what it was trained without."""

import json

from planted import planted
from tiny import tiny_folder

from fakeface.evaluation.inputs import held_out
from fakeface.evaluation.leave_one_out import plan
from fakeface.evaluation.leave_one_out_report import EVERYTHING, Fold, as_csv, assemble, markdown, measure
from fakeface.recipe import Recipe


def test_a_source_left_out_gets_its_false_positives_at_the_operating_point(tmp_path):
    planted(240, side=lambda label, rng: 32).to_parquet(tmp_path / "data.parquet")
    recipe = Recipe(data=[str(tmp_path / "data.parquet")], hold_out=["camera-b"], workers=0)
    model = tiny_folder(tmp_path / "run" / "model", threshold_generated=0.0, threshold_real=0.0, target_fpr=0.01)
    facts = {"versions": {}, "python": "", "device": "cpu", "mixed_precision": "no", "processes": 1}
    (model.parent / "run.json").write_text(json.dumps(facts))
    fold = Fold("source", "camera-b", held_out(recipe)[0], tmp_path, ("camera-b",))
    options = {"limit": 0, "device": "cpu", "batch_size": 32, "workers": 0}
    record = measure(recipe, fold, **options)
    # At a threshold of 0 every picture is called generated; nothing but the source is measured.
    assert [(row["source"], row["view"], row["fpr_n"], row["fpr"]) for row in record["real_sources"]] == [
        ("camera-b", "clean", 60, 1.0), ("camera-b", "delivered", 60, 1.0)
    ]  # fmt: skip
    assert record["generators"] == []
    assert record["operating_point"] == {"threshold_generated": 0.0, "target_fpr": 0.01}
    assert record["families"] == []
    (row, _) = measure(recipe, fold, **{**options, "limit": 25})["real_sources"]
    assert row["fpr_n"] == 25


def test_a_family_left_out_is_measured_on_all_its_generators(tmp_path):
    data = planted(240, side=lambda label, rng: 32)
    names = {"gan-a": ("stylegan", "stylegan2"), "gan-b": ("flux.1-dev", "mystery")}
    generators = [
        names[source][i % 3 == 0] if source in names else "none" for i, source in enumerate(data["source"][:])
    ]
    data = data.remove_columns("generator").add_column("generator", generators)
    data.to_parquet(tmp_path / "data.parquet")
    recipe = Recipe(data=[str(tmp_path / "data.parquet")], workers=0)
    *others, fold = plan(recipe, tmp_path / "out", lambda line: None)
    assert {other.kind for other in others} == {"", "generator", "source"}
    assert (fold.kind, fold.name, fold.left_out) == ("family", "gan", ("stylegan", "stylegan2"))
    assert fold.folder.name == f"{len(others):02}-family-gan"
    assert set(fold.splits["train"]["generator"]) == {"flux.1-dev", "mystery", "none"}
    tiny_folder(fold.folder / "run" / "model")
    facts = {"versions": {}, "python": "", "device": "cpu", "mixed_precision": "no", "processes": 1}
    (fold.folder / "run" / "run.json").write_text(json.dumps(facts))
    record = measure(recipe, fold, limit=0, device="cpu", batch_size=32, workers=0)
    rows = [(row["family"], row["view"], row["split"], row["n_real"], row["n_generated"]) for row in record["families"]]
    assert rows == [("gan", view, "held out", 24, 60) for view in ("clean", "delivered")]
    assert record["generators"] == record["real_sources"] == []
    record |= {"kind": "family", "name": "gan", **dict.fromkeys(("data", "limit", "seconds"))}
    whole = {key: value for key, value in record.items() if key != "families"}  # of before there were families
    report = assemble([{**whole, "kind": "", "name": EVERYTHING}, record], recipe, "the command")
    assert [(row["family"], row["seen"]) for row in report["families"]] == [("gan", None)] * 2
    assert "### Families of generators left out of training" in markdown(report)
    assert len([line for line in as_csv(report).splitlines() if line.startswith("family,gan,held out,clean,")]) == 3
    assert "### Families" not in markdown({**report, "families": []})
