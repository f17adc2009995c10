"""benchmarks/explain_cost.py: what is timed, without looking at how long it takes."""

from pathlib import Path

from tiny import tiny_folder

from benchmarks.explain_cost import measure, ratios


def test_turns_alternate_and_the_first_pair_only_warms_up():
    turns: list[str] = []
    seconds, found = ratios(lambda: turns.append("plain"), lambda: turns.append("mapped"), 3)
    assert turns == ["plain", "mapped"] * 4
    assert (len(seconds), len(found)) == (3, 3)


def test_model_and_detector_are_both_timed(tmp_path: Path):
    rows = measure(str(tiny_folder(tmp_path / "tiny", "resnet50-cnn")), "float32", rounds=1, batches=(2,))
    assert [(row["what"], row["method"], row["layer"]) for row in rows] == [
        ("model", "centred-cam", "trunk"),
        ("model", "grad-cam", "trunk"),
        ("model", "hires-cam", "trunk"),
        ("model", "layer-cam", "trunk"),
        ("model", "centred-cam", "block1"),
        ("Detector", "centred-cam", "trunk"),
    ]
    assert all(row["lower_quartile"] <= row["ratio"] <= row["upper_quartile"] for row in rows)
