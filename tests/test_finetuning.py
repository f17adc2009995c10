"""Fine-tuning as strangers do it, with the Trainer of transformers: other labels, swapped labels, odd batches."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import ClassLabel, Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import picture, tiny_folder, tiny_model
from torch import nn
from transformers import Trainer, TrainingArguments

from fakeface.configuration_fakeface import CALIBRATION, FakeFaceConfig
from fakeface.model_folder.opening import ModelFolderError, load_model_folder
from fakeface.modeling_fakeface import FakeFaceForImageClassification

CALIBRATED: dict[str, Any] = {
    "temperature": 1.5,
    "bias": -0.25,
    "threshold_generated": 0.9,
    "threshold_real": 0.1,
    "target_fpr": 0.01,
    "group_thresholds": {"2": 0.95},
    "familiar_distance": None,  # of vit-b16-cnn alone
}
FRESH = {name: getattr(FakeFaceConfig(), name) for name in CALIBRATION}


def numbers(config: FakeFaceConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in CALIBRATION}


def rows(count: int, labels: Any = (0, 1)) -> list[dict[str, Any]]:
    dice = torch.Generator().manual_seed(0)
    return [
        {"pixel_values": torch.randn(3, 32, 32, generator=dice), "labels": labels[i % len(labels)]}
        for i in range(count)
    ]


def train(model: nn.Module, data: list[dict[str, Any]], folder: Path, **options: Any) -> float:
    """Train for an epoch, save, and give the loss."""
    arguments = TrainingArguments(
        str(folder), num_train_epochs=1, report_to=[], use_cpu=True, save_strategy="no", disable_tqdm=True,
        **{"per_device_train_batch_size": 4, **options},
    )  # fmt: skip
    trainer = Trainer(model=model, args=arguments, train_dataset=data)  # pyright: ignore[reportArgumentType]
    loss = trainer.train().training_loss
    trainer.save_model(str(folder))
    return loss


# ---- the labels of the config


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["real", "generated"]),
        ({"num_labels": 3}, ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ({"num_labels": 1}, ["LABEL_0"]),
        ({"id2label": {0: "cat", 1: "dog"}}, ["cat", "dog"]),
        ({"id2label": {"1": "dog", "0": "cat"}}, ["cat", "dog"]),
        ({"label2id": {"dog": 1, "cat": 0}}, ["cat", "dog"]),
        ({"id2label": {0: "human", 1: "AI"}}, ["human", "AI"]),
    ],
)
def test_names_and_numbers_of_labels_go_together(fields, names, tmp_path):
    """With one of the two given the other kept the old labels."""
    folder = tiny_folder(tmp_path, **CALIBRATED)
    loaded = FakeFaceForImageClassification.from_pretrained(folder, ignore_mismatched_sizes=True, **fields)
    ours = names in (["real", "generated"], ["human", "AI"])
    for config in (FakeFaceConfig(**CALIBRATED, **fields), loaded.config):
        assert config.id2label == dict(enumerate(names))
        assert config.label2id == {name: i for i, name in enumerate(names)}
        assert numbers(config) == (CALIBRATED if ours else FRESH)


WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz_ 0", min_size=1, max_size=12)


@given(st.lists(WORDS, min_size=1, max_size=6, unique=True))
@settings(max_examples=50)
def test_any_names_are_taken_or_refused_in_words(names):
    try:
        config = FakeFaceConfig(id2label=dict(enumerate(names)), **CALIBRATED)
    except Exception as error:
        assert "in this model real is 0 and generated is 1" in f"{error} {error.__cause__}"  # noqa: PT017
        return
    assert config.label2id == {name: i for i, name in enumerate(names)}
    assert numbers(config) in (CALIBRATED, FRESH)


@pytest.mark.parametrize("names", [["generated", "real"], ["fake", "real"], ["AI", "human"], ["0_fake", "1_real"]])
def test_ours_in_the_opposite_order_are_refused_with_the_two_lines(names, tmp_path):
    """The labels of `imagefolder`, by the alphabet; they were taken, and every label of the model was inverted."""
    wrong = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    with pytest.raises(ValueError, match="in this model real is 0 and generated is 1"):
        FakeFaceForImageClassification.from_pretrained(tiny_folder(tmp_path), **wrong)
    images = Dataset.from_dict({"label": [0, 1, 1]}).cast_column("label", ClassLabel(names=names))
    mapped = images.cast_column("label", ClassLabel(names=["generated", "real"]))
    assert mapped.align_labels_with_mapping(FakeFaceConfig().label2id, "label")["label"][:] == [1, 0, 0]  # pyright: ignore


def test_labels_that_skip_a_number_are_refused():
    with pytest.raises(ValueError, match="id2label is"):
        FakeFaceConfig(id2label={1: "cat", 2: "dog"})


# ---- losses


@pytest.mark.parametrize("labels", [1, 2, 3, 5])
def test_each_number_of_labels_has_its_logits(labels):
    model = tiny_model(num_labels=labels)
    output = model(torch.zeros(2, 3, 32, 32), labels=torch.zeros(2, dtype=torch.long))
    assert tuple(output.logits.shape) == (2, labels)
    assert output.loss.ndim == 0


@pytest.mark.parametrize(
    ("problem", "labels", "loss"),
    [
        ("regression", torch.tensor([[0.5, 2.0], [1.0, 0.0]]), nn.functional.mse_loss),
        ("multi_label_classification", torch.tensor([[0, 1], [1, 1]]), nn.functional.binary_cross_entropy_with_logits),
        ("single_label_classification", torch.tensor([0, 1], dtype=torch.uint8), nn.functional.cross_entropy),
    ],
)
def test_each_type_of_problem_has_its_loss(problem, labels, loss):
    model = tiny_model(problem_type=problem)
    output = model(torch.zeros(2, 3, 32, 32), labels=labels)
    target = labels.long() if problem.startswith("single") else labels.float()
    torch.testing.assert_close(output.loss, loss(output.logits, target))


def test_the_loss_is_shared_out_over_the_steps_of_an_accumulation():
    """Trainer leaves that to models that take further arguments; the loss was as many times too large."""
    model, batch, labels = tiny_model(), torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 1, 0])
    parts = [model(batch[i : i + 2], labels=labels[i : i + 2], num_items_in_batch=4).loss for i in (0, 2)]
    torch.testing.assert_close(sum(parts), model(batch, labels=labels).loss)


@pytest.mark.parametrize("wrong", [2, -1])
def test_a_number_that_is_no_label_is_refused_by_the_names(wrong):
    with pytest.raises(ValueError, match=f"labels has {wrong}: this model takes .'real': 0, 'generated': 1"):
        tiny_model()(torch.zeros(2, 3, 32, 32), labels=torch.tensor([0, wrong]))


# ---- calibration and thresholds


def test_a_training_resets_calibration_and_thresholds(tmp_path):
    """The folder kept the thresholds of the weights that it started from."""
    model = FakeFaceForImageClassification.from_pretrained(tiny_folder(tmp_path / "model", **CALIBRATED))
    with torch.no_grad():
        model(torch.zeros(1, 3, 32, 32), labels=torch.tensor([0]))
    assert numbers(model.config) == CALIBRATED
    train(model, rows(8), tmp_path / "tuned")
    assert numbers(FakeFaceConfig.from_pretrained(tmp_path / "tuned")) == FRESH


def test_fine_tuning_to_other_labels(tmp_path):
    folder = tiny_folder(tmp_path / "model", **CALIBRATED)
    names = {0: "cat", 1: "dog", 2: "horse"}
    options: dict[str, Any] = {"id2label": names, "label2id": {name: i for i, name in names.items()}}
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        FakeFaceForImageClassification.from_pretrained(folder, **options)
    model = FakeFaceForImageClassification.from_pretrained(folder, **options, ignore_mismatched_sizes=True)
    train(model, rows(9, (0, 1, 2)), tmp_path / "tuned")
    again = FakeFaceForImageClassification.from_pretrained(tmp_path / "tuned")
    assert again.config.id2label == names
    assert numbers(again.config) == FRESH
    assert tuple(again(torch.zeros(1, 3, 32, 32)).logits.shape) == (1, 3)


@pytest.mark.parametrize("problem", ["regression", "multi_label_classification"])
def test_a_folder_of_another_problem_is_none_for_a_detector(problem, tmp_path):
    folder = tiny_folder(tmp_path, problem_type=problem)
    with pytest.raises(ModelFolderError, match=f'config.json: problem_type is "{problem}"; train it without'):
        load_model_folder(str(folder))


@pytest.mark.parametrize("swapped", [True, False])
def test_labels_that_contradict_the_weights_are_told(swapped, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("fakeface.modeling_fakeface"), "propagate", True)
    model = tiny_model(**CALIBRATED)
    batch = torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        known = model(batch).logits.argmax(-1)
    for module in model.train().modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    model.config.bias = 0.0
    with torch.no_grad():
        known = (model(batch).logits / 1).argmax(-1)
    for _ in range(3):
        model(batch, labels=1 - known if swapped else known)
    told = [record for record in caplog.records if "labels contradict this model" in record.getMessage()]
    assert len(told) == swapped
    assert not swapped or "64 of the first 64 pictures" in told[0].getMessage()


# ---- what the Trainer does to a model


@pytest.mark.parametrize("architecture", ["cnn", "resnet50-cnn", "vit-b16-cnn"])
def test_the_last_batch_may_be_one_picture(architecture, tmp_path):
    assert train(tiny_model(architecture), rows(5), tmp_path) > 0


def test_a_batch_of_one_leaves_the_running_statistics_alone():
    model = tiny_model("resnet50-cnn").train()
    before = model.get_buffer("classifier.norm1.running_mean").clone()
    model(torch.randn(1, 3, 32, 32), labels=torch.tensor([1])).loss.backward()
    assert torch.equal(model.get_buffer("classifier.norm1.running_mean"), before)
    model(torch.randn(2, 3, 32, 32))
    assert not torch.equal(model.get_buffer("classifier.norm1.running_mean"), before)


@pytest.mark.parametrize("architecture", ["logistic", "cnn", "resnet50-cnn", "vit-b16-cnn"])
def test_a_replica_of_data_parallel_computes(architecture):
    """It has no parameters of its own, and the model asked them for their type."""
    model, batch = tiny_model(architecture), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model(batch).logits
        for module in model.modules():  # as torch.nn.parallel.replicate leaves them
            for name, parameter in list(module._parameters.items()):
                del module._parameters[name]
                setattr(module, name, parameter.detach() if parameter is not None else None)
        assert list(model.parameters()) == []
        torch.testing.assert_close(model(batch).logits, expected)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable.*:FutureWarning")
def test_gradient_checkpointing_is_refused_by_transformers():
    with pytest.raises(ValueError, match=r"does not support (gradient|activation) checkpointing"):
        tiny_model().gradient_checkpointing_enable()


@pytest.mark.parametrize(
    ("architecture", "count"), [("logistic", 1), ("cnn", 7), ("resnet50-cnn", 5), ("vit-b16-cnn", 2)]
)
def test_hidden_states_on_request(architecture, count):
    model, batch = tiny_model(architecture), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        plain = model(batch)
        output = model(batch, labels=torch.tensor([0, 1]), output_hidden_states=True)
        features = model.fakeface(batch, output_hidden_states=True)
        assert plain.hidden_states is None
        assert torch.equal(output.logits, plain.logits)
        assert len(output.hidden_states) == len(features.hidden_states) == count
        assert torch.equal(features.hidden_states[-1], features.last_hidden_state)
        assert len(model(batch, labels=torch.tensor([0, 1]), output_hidden_states=True, return_dict=False)) == 3
        model.config.output_hidden_states = True
        assert len(model(batch).hidden_states) == count


# ---- folders of save_pretrained


@pytest.mark.parametrize("architecture", ["resnet50-cnn", "vit-b16-cnn"])
def test_a_folder_in_shards_opens(architecture, tmp_path):
    from fakeface import Detector

    folder = tiny_folder(tmp_path / "whole", architecture)
    shards = tmp_path / "shards"
    model, processor = load_model_folder(str(folder))
    model.save_pretrained(shards, max_shard_size="20KB")
    processor.save_pretrained(shards)
    assert not (shards / "model.safetensors").exists()
    assert len(list(shards.glob("model-*.safetensors"))) > 1
    scores = [Detector.from_pretrained(str(place), faces=False)(picture()).score for place in (folder, shards)]
    assert scores[0] == scores[1]


def test_a_folder_of_a_variant_opens(tmp_path):
    from fakeface import Detector

    folder = tiny_folder(tmp_path / "whole", "resnet50-cnn")
    model, processor = load_model_folder(str(folder))
    for place, options in (("one", {}), ("several", {"max_shard_size": "20KB"})):
        model.save_pretrained(tmp_path / place, variant="fp16", **options)  # pyright: ignore
        processor.save_pretrained(tmp_path / place)
        assert not list((tmp_path / place).glob("model*.safetensors.index.json"))
        assert not (tmp_path / place / "model.safetensors").exists()
        found = Detector.from_pretrained(str(tmp_path / place), faces=False)(picture()).score
        assert found == Detector.from_pretrained(str(folder), faces=False)(picture()).score


# ---- adapters


def normalising(model: nn.Module) -> list[str]:
    """Names of all layers with running statistics."""
    return [name for name, layer in model.named_modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]


# As in docs/fine-tuning.md.
ADAPTED = r".*trunk\.layer.*conv[123]"
SAVED_WHOLE = ["classifier", "norm", "bn1", "bn2", "bn3", "downsample.1"]


def test_the_recipe_for_adapters_names_every_layer_with_statistics():
    """Of those that it leaves out, a reloaded model has the statistics from before the training."""
    for name in normalising(tiny_model("resnet50-cnn")):
        assert name.startswith("classifier.") or any(name.endswith(f".{last}") for last in SAVED_WHOLE), name


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks for it
def test_an_adapter_comes_back_from_disk(tmp_path):
    peft = pytest.importorskip("peft")
    folder = tiny_folder(tmp_path / "model", "resnet50-cnn", **CALIBRATED)
    config = peft.LoraConfig(r=4, target_modules=ADAPTED, modules_to_save=SAVED_WHOLE)
    model = peft.get_peft_model(FakeFaceForImageClassification.from_pretrained(folder), config).train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-2)
    for _ in range(2):
        model(pixel_values=torch.randn(4, 3, 32, 32), labels=torch.tensor([0, 1, 0, 1])).loss.backward()
        optimiser.step()
    batch = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        expected = model.eval()(pixel_values=batch).logits
    model.save_pretrained(tmp_path / "adapter")
    fresh = FakeFaceForImageClassification.from_pretrained(folder)
    fresh.config.reset_calibration()
    again = peft.PeftModel.from_pretrained(fresh, tmp_path / "adapter").eval()
    with torch.no_grad():
        assert torch.equal(again(pixel_values=batch).logits, expected)
        merged = model.merge_and_unload()
        torch.testing.assert_close(merged(batch).logits, expected, rtol=1e-4, atol=1e-5)
