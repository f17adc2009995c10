"""Which pictures a detector is measured on."""

import pytest
from datasets import DatasetDict
from planted import planted

from fakeface.data.loading import DataError
from fakeface.evaluation.inputs import held_out, recipe_for, whole
from fakeface.recipe import build_recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    file = tmp_path_factory.mktemp("data") / "faces.parquet"
    planted(40).add_column("age", list(range(40))).to_parquet(file)
    return str(file)


def test_a_whole_dataset_is_one_split(data):
    splits, refused = whole([data], columns=["age"])
    assert {name: len(part) for name, part in splits.items()} == {"all": 40}
    assert splits["all"]["age"][:3] == [0, 1, 2]
    assert len(splits["all"]["sha256"][0]) == 64
    assert refused == []


def test_broken_pictures_are_named_and_the_rest_is_there(tmp_path):
    for label in ("real", "generated"):
        (tmp_path / label).mkdir()
    picture = planted(2)[0]["image"]["bytes"]
    (tmp_path / "real" / "good.jpg").write_bytes(picture)
    (tmp_path / "real" / "broken.jpg").write_bytes(picture[:200])
    splits, refused = whole([str(tmp_path)])
    assert len(splits["all"]) == 1
    assert len(refused) == 1
    assert "broken.jpg" in refused[0]
    (tmp_path / "real" / "good.jpg").unlink()
    with pytest.raises(DataError, match="none of its pictures can be read"):
        whole([str(tmp_path)])


def test_a_limit_is_spread_over_the_split_and_leaves_training_alone(data):
    splits, _ = whole([data], columns=["age"], limit=5)
    assert splits["all"]["age"][:] == [0, 9, 19, 29, 39]
    splits, _ = held_out(build_recipe({"data": [data], "workers": 0}), limit=2)
    assert {name: len(part) for name, part in splits.items()} == {"train": 28, "validation": 2, "test": 2}


def test_data_without_held_out_pictures_say_what_to_do(tmp_path):
    DatasetDict({"train": planted(4).add_column("split", ["train"] * 4)})["train"].to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="give the dataset as an argument instead"):
        held_out(build_recipe({"data": [str(tmp_path / "a.parquet")], "workers": 0}))


def test_the_recipe_is_the_one_named_or_the_model_s_own(tmp_path):
    (tmp_path / "training.json").write_text('{"recipe": {"seed": 7, "split_seed": 3}}')
    assert recipe_for(tmp_path, None, ["a"]).split_seed == 3
    (tmp_path / "other.yaml").write_text("split_seed: 5\n")
    found = recipe_for(tmp_path, tmp_path / "other.yaml", ["a"])
    assert (found.split_seed, found.seed, found.data) == (5, 0, ["a"])
    assert recipe_for(tmp_path / "nowhere", None, []).split_seed == 0
