"""Recipes: what a file and the command line may say, in which types, and how a slip is answered."""

import dataclasses
from pathlib import Path

import pytest

from fakeface.configuration_fakeface import ARCHITECTURES
from fakeface.delivery.augment import Augmentation
from fakeface.recipe import Recipe, RecipeError, build_recipe, named_pictures, parse_recipe, read_recipe


def recipe_file(folder, text):
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return str(folder / "recipe.yaml")


def refusal(*arguments):
    with pytest.raises(RecipeError) as error:
        parse_recipe(list(arguments))
    return str(error.value)


# ---- where values come from


def test_without_anything_the_defaults_hold():
    assert parse_recipe([]) == Recipe()


def test_the_file_wins_over_defaults_and_the_command_line_over_the_file(tmp_path):
    file = recipe_file(tmp_path, "epochs: 3\nbatch_size: 8\n")
    recipe = parse_recipe([file, "--batch-size", "16"])
    assert recipe == dataclasses.replace(Recipe(), epochs=3, batch_size=16)


def test_the_command_line_can_say_everything():
    recipe = parse_recipe(
        ["--architecture", "cnn", "--data", "a.parquet", "pictures", "--hold-out=ffhq", "--split-fractions", "0.2", "0"]
    )
    assert (recipe.architecture, recipe.data, recipe.hold_out) == ("cnn", ["a.parquet", "pictures"], ["ffhq"])
    assert recipe.split_fractions == [0.2, 0.0]


def test_every_shipped_recipe_builds(repo):
    files = sorted((repo / "configs").glob("*.yaml"))
    recipes = {file.stem: parse_recipe([str(file)]) for file in files}
    assert {"logistic", "cnn", "resnet50-cnn", "vit-b16-cnn"} <= set(recipes)
    for name, recipe in recipes.items():
        assert recipe.architecture in ARCHITECTURES, name
        assert recipe.augmentation_settings().flip >= 0


# ---- types


@pytest.mark.parametrize("text", ["1e-3", "1.0e-3", "0.001", ".001", "1E-3"])
def test_learning_rates_in_any_notation(text, tmp_path):
    assert parse_recipe(["--learning-rate", text]).learning_rate == 0.001
    assert parse_recipe([recipe_file(tmp_path, f"learning_rate: {text}\n")]).learning_rate == 0.001


def test_whole_numbers_pass_for_floats_but_not_the_other_way():
    recipe = build_recipe({"weight_decay": 0})
    assert (recipe.weight_decay, type(recipe.weight_decay)) == (0.0, float)
    with pytest.raises(RecipeError, match=r"epochs is 2\.5: it takes a value of type int"):
        build_recipe({"epochs": 2.5})


@pytest.mark.parametrize(
    ("arguments", "value"),
    [(["--resume"], True), (["--resume", "true"], True), (["--resume", "no"], False), (["--resume=false"], False)],
)
def test_booleans(arguments, value):
    assert parse_recipe(arguments).resume is value


def test_a_single_value_passes_for_a_list(tmp_path):
    assert parse_recipe([recipe_file(tmp_path, "data: faces.parquet\n")]).data == ["faces.parquet"]


def test_text_stays_text():
    assert parse_recipe(["--output", "7", "--data", "2024"]).output == "7"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": "many"}, "epochs is 'many': it takes a value of type int"),
        ({"epochs": True}, "epochs is True: it takes a value of type int"),
        ({"threads": -1}, "threads is -1: it must be at least 0"),
        ({"ema": 1.5}, "ema is 1.5: it takes a number from 0 up to, not including, 1"),
        ({"trunk_decay": 0.0}, "trunk_decay is 0.0: it must be above 0"),
        ({"epochs": None}, "epochs is None: it takes a value of type int"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast': it takes a value of type float"),
        ({"learning_rate": "["}, "learning_rate is '[': it takes a value of type float"),
        ({"resume": "perhaps"}, "resume is 'perhaps': it takes a value of type bool"),
        ({"resume": 1}, "resume is 1: it takes a value of type bool"),
        ({"output": 7}, "output is 7: it takes a value of type str"),
        ({"data": [1]}, "data is 1: it takes a value of type str"),
        ({"split_fractions": "half"}, "split_fractions is 'half': it takes a value of type float"),
        ({"split_fractions": ["a", "b"]}, "split_fractions is 'a': it takes a value of type float"),
        ({"split_fractions": [[0.1], 0.2]}, "split_fractions is [0.1]: it takes a value of type float"),
        ({"epochs": "2026-13-45"}, "epochs is '2026-13-45': it takes a value of type int"),
        ({"learning_rate": 10**400}, f"learning_rate is 1{'0' * 400}: it takes a value of type float"),
        ({"augmentation": "strong"}, "augmentation is 'strong': it takes a value of type dict"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(values, message):
    with pytest.raises(RecipeError) as error:
        build_recipe(values)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"select_on": "loss"}, "select_on is 'loss': it takes auc or auc_delivered"),
        ({"mixed_precision": "fp8"}, "mixed_precision is 'fp8': it takes no, bf16 or fp16"),
        ({"split_fractions": [0.5, 0.5]}, "split_fractions is [0.5, 0.5]: two shares that leave some for training"),
        ({"split_fractions": [0.1]}, "split_fractions is [0.1]: two shares"),
        ({"split_fractions": [-0.1, 0.2]}, "split_fractions is [-0.1, 0.2]: two shares"),
        ({"epochs": 0}, "epochs is 0: it must be at least 1"),
        ({"batch_size": -4}, "batch_size is -4: it must be at least 1"),
        ({"gradient_accumulation": 0}, "gradient_accumulation is 0: it must be at least 1"),
        ({"checkpoint_steps": 0}, "checkpoint_steps is 0: it must be at least 1"),
        ({"keep_checkpoints": 0}, "keep_checkpoints is 0: it must be at least 1"),
        ({"seed": -1}, "seed is -1: it takes a number from 0 to 4,294,967,295"),
        ({"seed": 2**32}, "seed is 4294967296: it takes a number from 0 to 4,294,967,295"),
        ({"split_seed": -1}, "split_seed is -1: it takes a number from 0 to 4,294,967,295"),
        ({"split_fractions": [float("nan"), 0.2]}, "split_fractions is [nan, 0.2]: two shares"),
        ({"limit": -5}, "limit is -5: it takes a number from 0"),
        ({"samples_per_epoch": -1}, "samples_per_epoch is -1: it takes a number from 0"),
        ({"source_balance": float("nan")}, "source_balance is nan: it takes a number from 0 to 1"),
        ({"label_smoothing": 2.0}, "label_smoothing is 2.0: it takes a number from 0 to 1"),
        ({"learning_rate": float("inf")}, "learning_rate is inf: it takes a number from 0 to 100"),
        ({"image_size": 0}, "image_size is 0: it takes a number from 1 to 1,024"),
        ({"crop_fraction": 0.0}, "crop_fraction is 0.0: it takes a number above 0, up to 1"),
        ({"crop_fraction": float("nan")}, "crop_fraction is nan: it takes a number above 0, up to 1"),
        ({"trunk_decay": float("nan")}, "trunk_decay is nan: it must be above 0"),
        ({"face_cut": "box"}, "face_cut is 'box': it takes none or landmarks"),
        ({"source_cap": -1}, "source_cap is -1: it must be at least 0"),
        ({"architecture": "vit-b16-cnn", "frozen_views": -1}, "frozen_views is -1: it must be at least 0"),
    ],
)
def test_a_value_out_of_range_is_refused(values, message):
    with pytest.raises(RecipeError) as error:
        build_recipe(values)
    assert message in str(error.value)


# ---- unknown keys


def test_an_unknown_key_in_the_file_is_refused_with_a_suggestion(tmp_path):
    file = recipe_file(tmp_path, "lerning_rate: 1.0e-3\n")
    assert refusal(file) == "unknown recipe key 'lerning_rate'; did you mean 'learning_rate'?"


def test_an_unknown_key_far_from_all_is_refused_without_one(tmp_path):
    assert refusal(recipe_file(tmp_path, "xyzzy: 1\n")) == "unknown recipe key 'xyzzy'"
    assert refusal(recipe_file(tmp_path, "7: 1\n")) == "unknown recipe key 7"


@pytest.mark.parametrize(
    ("argument", "suggestion"),
    [
        ("--lerning-rate=1", "; did you mean '--learning-rate'?"),
        ("--learning_rate", "; did you mean '--learning-rate'?"),
        ("--epoch", "; did you mean '--epochs'?"),  # no abbreviations: a later key could change their meaning
        ("--xyzzy", ""),
    ],
)
def test_an_unknown_key_on_the_command_line_is_refused(argument, suggestion):
    assert refusal(argument, "3") == f"unknown argument {argument.partition('=')[0]!r}{suggestion}"


def test_a_second_recipe_is_refused(tmp_path):
    file = recipe_file(tmp_path, "epochs: 3\n")
    assert refusal(file, "other.yaml") == "unknown argument 'other.yaml'"


# ---- files


@pytest.mark.parametrize("text", ["", "- epochs\n", "epochs\n"])
def test_a_file_without_keys_is_refused(text, tmp_path):
    file = recipe_file(tmp_path, text)
    assert refusal(file) == f"{file}: a recipe is a list of `key: value` lines"


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    file = recipe_file(tmp_path, "epochs: [1\n")
    assert refusal(file).startswith(f"{file}: not a readable YAML recipe (")
    for text in ("seed: 2026-13-45\n", 'seed: !!int ""\n', "data: " + "[" * 5000):  # not yaml's own errors
        assert refusal(recipe_file(tmp_path, text)).startswith(f"{file}: not a readable YAML recipe (")
    (tmp_path / "recipe.yaml").write_bytes(b"\xff\xfe\x00")
    assert refusal(file).startswith(f"{file}: not a readable YAML recipe (")


def test_a_missing_file_is_refused(tmp_path):
    assert "none.yaml: not a readable YAML recipe" in refusal(str(tmp_path / "none.yaml"))


def test_yaml_makes_no_objects(tmp_path):
    file = recipe_file(tmp_path, "output: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(RecipeError, match="not a readable YAML recipe"):
        read_recipe(tmp_path / "recipe.yaml")
    assert "python/object" in refusal(file)


# ---- augmentation


def test_augmentation_takes_changes(tmp_path):
    file = recipe_file(tmp_path, "augmentation: {flip: 0, zoom: [0.9, 1.1]}\n")
    assert parse_recipe([file]).augmentation_settings() == Augmentation(flip=0, zoom=(0.9, 1.1))
    recipe = parse_recipe(["--augmentation", "{quality: [50, 60]}"])
    assert recipe.augmentation_settings() == Augmentation(quality=(50, 60))
    assert Recipe().augmentation_settings() == Augmentation()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flipp": 0.5}, "unknown augmentation key 'flipp'; did you mean 'flip'?"),
        ({"flip": "often"}, "augmentation key 'flip' is 'often': it takes a number"),
        ({"flip": [0.1, 0.2]}, "augmentation key 'flip' is [0.1, 0.2]: it takes a number"),
        ({"flip": True}, "augmentation key 'flip' is True: it takes a number"),
        ({"zoom": 1.1}, "augmentation key 'zoom' is 1.1: it takes two numbers, lowest and highest"),
        ({"zoom": [0.9]}, "augmentation key 'zoom' is [0.9]: it takes two numbers, lowest and highest"),
        ({"zoom": [1.2, 0.9]}, "augmentation key 'zoom' is [1.2, 0.9]: numbers go up, from 0.01 to 100"),
        ({"zoom": [0, 1]}, "augmentation key 'zoom' is [0, 1]: numbers go up, from 0.01 to 100"),
        ({"quality": [50, 200]}, "augmentation key 'quality' is [50, 200]: numbers go up, from 1 to 100"),
        ({"flip": -0.5}, "augmentation key 'flip' is -0.5: numbers go up, from 0 to 1,000,000"),
        ({"noise": float("nan")}, "augmentation key 'noise' is nan: numbers go up, from 0 to 1,000,000"),
        ({"zoom": [0.9, "x"]}, "augmentation key 'zoom' is [0.9, 'x']: it takes two numbers, lowest and highest"),
    ],
)
def test_bad_augmentation_is_refused(changes, message):
    with pytest.raises(RecipeError) as error:
        build_recipe({"augmentation": changes})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frozen_views": 2}, "frozen_views is 2: vit-b16-cnn takes at least 1, .* and other architectures take 0"),
        ({"architecture": "cnn", "frozen_views": 1}, "frozen_views is 1: .* other architectures take 0"),
        ({"architecture": "vit-b16-cnn"}, "frozen_views is 0: vit-b16-cnn takes at least 1, since its trunk does not"),
        (
            {"streaming": True, "data": ["x"], "face_cut": "landmarks"},
            "streaming takes neither face_cut: landmarks nor",
        ),
        ({"small_epochs": 1}, "small_epochs needs pooling: average; without, a model takes pictures of one size only"),
        (
            {"streaming": True, "data": ["a", "b"]},
            "streaming takes one dataset in `data`, and no train_only, leave_out, hold_out",
        ),
        (
            {"streaming": True, "data": ["a"], "matched": True},
            "streaming takes one dataset in `data`, and no train_only, leave_out, hold_out",
        ),
    ],
)
def test_keys_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        build_recipe(changes)


def test_help_lists_every_key(capsys):
    with pytest.raises(SystemExit) as end:
        parse_recipe(["--help"], description="Train.")
    printed = capsys.readouterr().out
    assert end.value.code == 0
    assert all("--" + field.name.replace("_", "-") in printed for field in dataclasses.fields(Recipe))


def test_pictures_are_named_one_in_a_line_with_comments(tmp_path: Path):
    file = tmp_path / "names.txt"
    file.write_text(f"# why\n\n{'a' * 64}\n  {'B' * 64}  # this one too\n", encoding="utf-8")
    assert named_pictures(file) == {"a" * 64, "b" * 64}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"photo.jpg\n", "line 1 of .*names.txt is 'photo.jpg'; it takes 64 hexadecimal digits"),
        (b"# fine\n" + b"a" * 63 + b"\n", "line 2 of .* it takes 64 hexadecimal digits"),
        (b"\xff\xfe\x00", "names.txt cannot be read as text"),
        (None, "names.txt cannot be read as text"),
    ],
)
def test_a_list_of_other_things_is_refused(content: bytes | None, message: str, tmp_path: Path):
    file = tmp_path / "names.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        named_pictures(file)
