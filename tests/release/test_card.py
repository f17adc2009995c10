"""The model card and the README's figures."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

import fakeface
from fakeface.configuration_fakeface import FORMAT_VERSION
from fakeface.evaluation.report import weights_sha256
from fakeface.model_folder.checksums import changed_files, parse_sums
from fakeface.release.card import (
    CardError,
    architectures_table,
    fill_readme,
    fresh_report,
    generators_table,
    kept_out_table,
    overall_table,
    read_report,
    write_card,
)


def row(split, view, auc):
    return {
        "split": split, "view": view, "n_real": 200, "n_generated": 100,
        "auc": auc, "auc_interval": [auc - 0.01, auc + 0.01],
        "tpr_at_fpr_0.01": 0.5, "tpr_at_fpr_0.01_interval": [0.4, 0.6],
        "fpr_n": 200, "fpr": 0.01, "fpr_interval": [0.0, 0.03],
        "miss_rate_n": 100, "miss_rate": 0.05, "miss_rate_interval": [0.02, 0.1],
        "uncertain": 0.1, "ece": 0.02,
    }  # fmt: skip


@pytest.fixture
def report():
    overall = [row(split, view, 0.9) for split in ("validation", "test", "unseen") for view in ("clean", "delivered")]
    return {
        "command": "fakeface evaluate here --data there",
        "weights_sha256": "ab" * 32,
        "architecture": "resnet50-cnn",
        "operating_point": {"threshold_generated": 0.81, "threshold_real": 0.2, "target_fpr": 0.01},
        "data": {name: {"pictures": 300, "fingerprint": "f"} for name in ("train", "validation", "test", "unseen")},
        "overall": overall,
        "generators": [{**made, "generator": "stylegan2"} for made in overall],
        "real_sources": [{**made, "source": "phone"} for made in overall if made["split"] == "unseen"],
        "kept_out": [{**made, "source": "ffhq"} for made in overall if made["split"] == "test"],
    }


@pytest.fixture
def folder(report, tmp_path):
    """A model folder with the report of it."""
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    report["weights_sha256"] = weights_sha256(tmp_path)
    report["calibration"] = {"temperature": 0.9, "bias": -0.4}
    (tmp_path / "config.json").write_text(json.dumps({**report["operating_point"], **report["calibration"]}))
    (tmp_path / "evaluation.json").write_text(json.dumps(report))
    return tmp_path


def test_a_card_states_the_report_and_metadata_the_hub_reads(folder, tmp_path):
    write_card(folder)
    card = ModelCard.load(tmp_path / "README.md")
    data = card.data.to_dict()
    assert data["license"] == "apache-2.0"
    assert data["pipeline_tag"] == "image-classification"
    (model,) = data["model-index"]
    assert [result["dataset"]["name"] for result in model["results"]] == [
        "test, clean",
        "test, delivered",
        "unseen sources, clean",
        "unseen sources, delivered",
    ]
    assert "| test, clean | 200 + 100 | 0.900 (0.890–0.910) |" in card.text
    assert "of 100 photographs like those of the validation set about 1 is" in card.text
    assert "Measured by `fakeface evaluate here --data there`" in card.text
    assert "{{" not in card.text


def test_a_report_of_other_weights_makes_no_card(folder):
    (folder / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(CardError, match="measured on other weights"):
        write_card(folder)
    assert not (folder / "README.md").exists()


@pytest.mark.parametrize("name", ["temperature", "bias", "threshold_generated", "threshold_real", "target_fpr"])
def test_a_report_from_before_a_calibration_makes_no_card(folder, name):
    """`fakeface calibrate` after `fakeface evaluate` once left a card of figures that no user would see."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, name: 0.5}))
    with pytest.raises(CardError, match=rf"evaluation\.json: measured with another {name} than config\.json has"):
        write_card(folder)
    assert not (folder / "README.md").exists()


def test_figures_of_a_twin_make_a_card_that_says_so(folder, report):
    """Weights that were trained on everything stand under the figures of those that were measured before."""
    everything = {"pictures": 5687, "mean": {"clean": 0.94}, "worst": {"clean": 0.91}}
    record = {"recipe": {}, "everything": {**everything, "measured_weights_sha256": report["weights_sha256"]}}
    (folder / "training.json").write_text(json.dumps(record))
    (folder / "model.safetensors").write_bytes(b"weights that saw everything")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "threshold_generated": 0.789}))
    card = write_card(folder).read_text()
    assert "**The figures are of a twin**" in card
    assert "saw all 5,687 pictures" in card
    assert "mean AUC is 0.940 clean (worst fold 0.910)" in card
    assert "0.789" in card  # its own threshold


def test_only_the_text_between_the_figure_comments_changes(report, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- figures: made -->\nstale figures\n<!-- end of figures -->\nafter\n")
    fill_readme(readme, report, [])
    text = readme.read_text()
    assert text.startswith("before\n<!-- figures: made -->\n")
    assert text.endswith("<!-- end of figures -->\nafter\n")
    assert "stale figures" not in text
    assert architectures_table([report]) in text
    fill_readme(readme, report, [])
    assert readme.read_text() == text


def test_a_readme_without_a_place_for_figures_is_left_alone(report, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("no place\n")
    with pytest.raises(CardError, match="has no"):
        fill_readme(readme, report, [])
    assert readme.read_text() == "no place\n"


def test_what_is_no_report_is_named(tmp_path):
    (tmp_path / "evaluation.json").write_text("[]")
    with pytest.raises(CardError, match=r"evaluation\.json: not an evaluation report"):
        read_report(tmp_path / "evaluation.json")


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (
            {"recipe": {"seed": 3}, "device": "cuda", "hardware": "NVIDIA H100"},
            "It was trained with seed 3 on NVIDIA H100.",
        ),
        (
            {"recipe": {"seed": 0}, "device": "cpu"},
            "It was trained with seed 0 on cpu.",
        ),  # of before it named the hardware
        (None, ""),
    ],
)
def test_the_card_tells_seed_and_hardware(record, told, folder):
    if record:
        (folder / "training.json").write_text(json.dumps(record))
    card = write_card(folder).read_text()
    assert told in card
    assert ("with seed" in card) == bool(told)


SHIPPED = pytest.mark.parametrize("name", ["fakeface-resnet50-cnn", "fakeface-vit-b16-cnn"])


def test_figures_of_results_and_card_belong_to_the_shipped_weights_and_calibration(repo):
    folder = repo / "checkpoints" / "fakeface-resnet50-cnn"
    report = fresh_report(folder)
    card, results = (page.read_text() for page in (folder / "README.md", repo / "docs" / "results.md"))
    assert report["weights_sha256"][:16] in card
    for made in (architectures_table([report]), overall_table(report), kept_out_table(report)):
        assert made in results
    for made in (overall_table(report), kept_out_table(report), generators_table(report)):
        assert made in card


@SHIPPED
def test_the_card_of_a_shipped_folder_has_the_figures_of_its_report(repo, name):
    folder = repo / "checkpoints" / name
    report, card = fresh_report(folder), (folder / "README.md").read_text()
    for made in (overall_table(report), kept_out_table(report), generators_table(report)):
        assert made in card


@SHIPPED
def test_a_shipped_folder_is_whole_small_and_as_its_checksums_say(repo, name):
    folder = repo / "checkpoints" / name
    names = {file.name for file in folder.iterdir() if file.is_file()}  # Python may keep bytecode beside them
    assert names - {"SHA256SUMS"} == parse_sums((folder / "SHA256SUMS").read_text()).keys()
    assert changed_files(folder, names - {"SHA256SUMS"}) == []
    assert json.loads((folder / "config.json").read_text())["format_version"] == FORMAT_VERSION
    assert (folder / "model.safetensors").stat().st_size <= 72_000_000


@SHIPPED
def test_shipped_code_files_are_the_packages(repo, name):
    shipped = sorted((repo / "checkpoints" / name).glob("*.py"))
    assert len(shipped) == 3
    for file in shipped:
        assert file.read_bytes() == (Path(fakeface.__file__).parent / file.name).read_bytes(), file.name
