"""The card of a built dataset."""

import copy

import yaml

from fakeface.data.build.dataset_card import dataset_card

RECORD = {
    "recipe": {"distance": 4},
    "history": {"size": 280, "codec": "JPEG"},
    "counts": {
        "pictures": [
            {"split": "train", "source": "camera", "generator": "none", "label": "real", "n": 1200},
            {"split": "test", "source": "camera", "generator": "none", "label": "real", "n": 3},
            {"split": "train", "source": "gan", "generator": "stylegan2", "label": "generated", "n": 7},
        ],
        "groups": 1100,
        "rejected": {"contradiction": 2, "empty": 1},
    },
    "sources": {
        "camera": {"title": "Camera", "homepage": "https://camera.example", "licence": "CC0", "conditions": ""},
        "gan": {"title": "gan", "homepage": "", "licence": "unknown", "conditions": "research only"},
    },
}


def lines(**changes) -> list[str]:
    return dataset_card({**copy.deepcopy(RECORD), **changes}).splitlines()


def test_the_front_matter_names_the_splits_that_are_there():
    front = yaml.safe_load(dataset_card(RECORD).split("---\n")[1])
    assert front["configs"][0]["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"},
        {"split": "test", "path": "data/test-*.parquet"},
    ]
    assert front["license"] == "other"


def test_its_tables():
    card = lines()
    for line in (
        "| split | real | generated |",
        "| train | 1,200 | 7 |",
        "| test | 3 | 0 |",
        "| source | generator | label | train | test |",
        "| camera | none | real | 1,200 | 3 |",
        "| gan | stylegan2 | generated | 7 | 0 |",
        "| contradiction | stands in the set under both labels | 2 |",
        "| empty |  | 1 |",
        "| [Camera](https://camera.example) | CC0 | – |",
        "| gan | unknown | research only |",
    ):
        assert line in card
    assert any("within 4 of 64 bits" in line and "there are 1,100 groups" in line for line in card)
    assert any("one history: size 280, codec JPEG." in line for line in card)


def test_pictures_as_found_and_none_rejected():
    card = lines(history="native", counts={**RECORD["counts"], "rejected": {}})
    assert "Nothing was rejected." in card
    assert any(line.startswith("Every picture file is as its source ships it.") for line in card)


def test_a_strangers_name_ends_neither_cell_nor_line():
    """Tables name sources and generators, and their words were once put into the card as they were."""
    row = {"split": "train", "source": "a|b\n# Free of charge", "generator": "x", "label": "generated", "n": 1}
    card = lines(counts={**RECORD["counts"], "pictures": [row]})
    assert "| a\\|b # Free of charge | x | generated | 1 |" in card
    assert "# Free of charge" not in card
