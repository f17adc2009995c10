"""The configuration: defaults of each architecture, refusal of every bad field, and the way to disk and back."""

import json

import pytest
from huggingface_hub.errors import StrictDataclassError

from fakeface.configuration_fakeface import ARCHITECTURES, LABELS, FakeFaceConfig

VIT = {"architecture": "vit-b16-cnn", "pooling": "average"}


def test_the_words_are_fixed():
    assert ARCHITECTURES == ("logistic", "cnn", "resnet50-cnn", "vit-b16-cnn")
    assert LABELS == ("real", "generated")


@pytest.mark.parametrize(
    ("architecture", "conv_widths", "fc_widths", "downsampling"),
    [
        ("logistic", [], [], 1),
        ("cnn", [32, 64], [128], 4),
        ("resnet50-cnn", [256, 256, 256, 256], [512, 256, 64], 32),
        ("vit-b16-cnn", [256], [], 16),
    ],
)
def test_each_architecture_has_its_own_widths(architecture, conv_widths, fc_widths, downsampling):
    pooling = "average" if architecture == "vit-b16-cnn" else "none"
    config = FakeFaceConfig(architecture=architecture, pooling=pooling)
    assert (config.conv_widths, config.fc_widths, config.downsampling) == (conv_widths, fc_widths, downsampling)


def test_the_defaults():
    config = FakeFaceConfig()
    assert (config.architecture, config.image_size, config.trunk_stages) == ("resnet50-cnn", 160, 3)
    assert config.id2label == {0: "real", 1: "generated"}
    assert config.label2id == {"real": 0, "generated": 1}
    assert (config.num_labels, config.pooling) == (2, "none")
    assert (config.temperature, config.bias, config.target_fpr) == (1.0, 0.0, None)
    assert (config.threshold_real, config.threshold_generated) == (0.5, 0.5)
    assert (config.smallest_face, config.face_cut, config.face_margin) == (32, "box", 1.4)
    assert (config.trunk_blocks, config.trunk_bits) == (None, 32)


def test_a_transformer_shows_its_head_the_middle_blocks():
    first, second = (FakeFaceConfig(architecture="vit-b16-cnn", pooling="average") for _ in range(2))
    assert first.trunk_blocks == [5, 6, 7, 8, 9]
    assert first.trunk_blocks is not second.trunk_blocks


def test_two_configs_do_not_share_their_lists():
    first, second = FakeFaceConfig(architecture="cnn"), FakeFaceConfig(architecture="cnn")
    assert first.conv_widths is not second.conv_widths


@pytest.mark.parametrize(("stages", "downsampling"), [(1, 8), (2, 16), (3, 32), (4, 64)])
def test_every_trunk_stage_halves_the_map(stages, downsampling):
    assert FakeFaceConfig(trunk_stages=stages, image_size=128).downsampling == downsampling


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"architecture": "resnet18"},
            "unknown architecture 'resnet18': choose one of logistic, cnn, resnet50-cnn, vit",
        ),
        ({"image_size": 100}, "image_size is 100: resnet50-cnn takes a multiple of 32, up to 1024"),
        ({"image_size": 0}, "image_size is 0: resnet50-cnn takes a multiple of 32, up to 1024"),
        ({"image_size": -32}, "image_size is -32"),
        ({"image_size": 1056}, "image_size is 1056"),
        ({"architecture": "cnn", "image_size": 30}, "image_size is 30: cnn takes a multiple of 4, up to 1024"),
        ({"trunk_stages": 0}, "trunk_stages is 0: ResNet-50 has stages 1 to 4"),
        ({"trunk_stages": 5}, "trunk_stages is 5: ResNet-50 has stages 1 to 4"),
        ({"conv_widths": [64]}, "conv_widths has 1 numbers: resnet50-cnn takes 4"),
        ({"architecture": "logistic", "conv_widths": [3]}, "conv_widths has 1 numbers: logistic takes 0"),
        ({"architecture": "logistic", "fc_widths": [3]}, "fc_widths is set: logistic has no hidden layer"),
        ({"fc_widths": []}, "fc_widths is empty: resnet50-cnn takes at least one hidden layer"),
        ({"fc_widths": [0]}, "conv_widths and fc_widths take numbers from 1 to 8192"),
        ({"fc_widths": [8193]}, "conv_widths and fc_widths take numbers from 1 to 8192"),
        ({"conv_widths": [256, 256, 256, -1]}, "conv_widths and fc_widths take numbers from 1 to 8192"),
        ({"pooling": "max"}, "pooling is 'max': it takes none or average"),
        ({"architecture": "logistic", "pooling": "average"}, "pooling is 'average': logistic takes none, or it would"),
        ({"dropout": 1.0}, "dropout is 1.0: it takes a number from 0 up to, not including, 1"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"temperature": 0.0}, "temperature is 0.0: it must be above 0"),
        ({"temperature": float("nan")}, "temperature is nan: it must be above 0"),
        ({"threshold_real": 0.6}, "0 <= threshold_real <= threshold_generated <= 1, not 0.6 and 0.5"),
        ({"threshold_generated": 1.1}, "not 0.5 and 1.1"),
        ({"threshold_real": -0.1}, "not -0.1 and 0.5"),
        ({"smallest_face": -1}, "smallest_face is -1: it takes a number of pixels from 0"),
        ({"face_margin": 0.4}, "face_margin is 0.4: it takes a number from 0.5 to 4"),
        ({"face_margin": 9}, "face_margin is 9: it takes a number from 0.5 to 4"),
        ({"face_cut": "square"}, "face_cut is 'square': it takes box or landmarks"),
        (VIT | {"pooling": "none"}, "pooling is 'none': vit-b16-cnn takes average"),
        (VIT | {"image_size": 200}, "image_size is 200: vit-b16-cnn takes a multiple of 16, up to 1024"),
        (VIT | {"conv_widths": []}, "conv_widths has 0 numbers: vit-b16-cnn takes 1"),
        (VIT | {"trunk_blocks": []}, "trunk_blocks is []: it takes rising numbers from 1 to 12"),
        (VIT | {"trunk_blocks": [0, 1]}, "trunk_blocks is [0, 1]: it takes rising numbers from 1 to 12"),
        (VIT | {"trunk_blocks": [12, 13]}, "trunk_blocks is [12, 13]: it takes rising numbers"),
        (VIT | {"trunk_blocks": [6, 5]}, "trunk_blocks is [6, 5]: it takes rising numbers"),
        (VIT | {"trunk_blocks": [5, 5]}, "trunk_blocks is [5, 5]: it takes rising numbers"),
        (VIT | {"trunk_blocks": "all"}, "Field 'trunk_blocks'"),
        (VIT | {"trunk_bits": 16}, "trunk_bits is 16: it takes 8 or 32"),
        (VIT | {"pooling": "average", "familiar_distance": 0.0}, "familiar_distance is 0.0: it takes a number above 0"),
        (
            {"familiar_distance": 1.0},
            "familiar_distance is 1.0: it takes a number above 0, of vit-b16-cnn, or of resnet50",
        ),
        ({"architecture": "resnet50-cnn", "familiar_distance": 1.0}, "of resnet50-cnn with familiar_directions"),
        ({"architecture": "resnet50-cnn", "familiar_directions": 769}, "resnet50-cnn takes a number from 0 to 768"),
        ({"image_size": "160"}, "Field 'image_size' expected int, got str"),
        ({"image_size": 160.0}, "Field 'image_size' expected int, got float"),
        ({"conv_widths": "wide"}, "Field 'conv_widths'"),
        ({"bias": "high"}, "Field 'bias'"),
    ],
)
def test_a_bad_field_is_refused_by_name(fields, message):
    with pytest.raises(StrictDataclassError) as refusal:
        FakeFaceConfig(**fields)
    assert message in str(refusal.value)


def test_a_bad_field_in_a_file_is_refused(tmp_path):
    FakeFaceConfig(architecture="cnn", image_size=32).save_pretrained(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(fields | {"image_size": 1_000_000}))
    with pytest.raises(StrictDataclassError, match="image_size is 1000000"):
        FakeFaceConfig.from_pretrained(tmp_path)


def test_every_field_comes_back_from_disk(tmp_path):
    config = FakeFaceConfig(
        architecture="resnet50-cnn",
        image_size=96,
        trunk_stages=2,
        trunk_blocks=[3, 7],
        trunk_bits=8,
        conv_widths=[8, 16, 24, 32],
        fc_widths=[10, 6],
        dropout=0.25,
        temperature=1.75,
        bias=-0.125,
        threshold_generated=0.9000000000000001,
        threshold_real=0.2,
        target_fpr=0.01,
        smallest_face=40,
        face_cut="landmarks",
        face_margin=0.8,
    )
    config.save_pretrained(tmp_path)
    loaded = FakeFaceConfig.from_pretrained(tmp_path)
    assert loaded.to_dict() | {"transformers_version": ""} == config.to_dict() | {"transformers_version": ""}
    assert loaded.id2label == {0: "real", 1: "generated"}


def test_a_folder_names_all_four_auto_classes(tmp_path):
    FakeFaceConfig().save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["auto_map"] == {
        "AutoConfig": "configuration_fakeface.FakeFaceConfig",
        "AutoModel": "modeling_fakeface.FakeFaceModel",
        "AutoModelForImageClassification": "modeling_fakeface.FakeFaceForImageClassification",
        "AutoImageProcessor": "image_processing_fakeface.FakeFaceImageProcessor",
    }
