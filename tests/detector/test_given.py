"""What stands for one picture and what for several: names, rows and columns of datasets, text."""

import base64
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, Features, Image, Value
from tiny import picture, tiny_folder

from fakeface import Detector
from fakeface.utils.errors import OptionError


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.from_pretrained(tiny_folder(tmp_path_factory.mktemp("model") / "tiny"), device="cpu", faces=False)


@pytest.mark.parametrize("one", ["a.jpg", b"\xff\xd8", Path("a.jpg"), {"bytes": b"", "path": None}, picture()])
def test_a_stream_of_one_picture_is_refused_at_once(detector: Detector, one: Any):
    """`stream("a.jpg")` once judged five pictures: a, ., j, p and g."""
    with pytest.raises(OptionError, match=r"stream takes several pictures, not one of type \w+; use \[picture\]"):
        detector.stream(one)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    files = []
    for seed in range(2):
        files.append(str(tmp_path_factory.mktemp("pictures") / f"{seed}.png"))
        picture(seed=seed).save(files[-1])
    features = Features({"image": Image(), "label": Value("int64")})
    return Dataset.from_dict({"image": files, "label": [0, 1]}, features=features)


def test_rows_and_columns_of_a_dataset_are_taken(detector: Detector, dataset: Dataset):
    # Not to the last digit: what a picture is batched with shows in it.
    expected = [pytest.approx(detector(picture(seed=seed)).score, abs=1e-6) for seed in range(2)]
    assert detector(dataset[1]).score == expected[1]
    assert [result.score for result in detector(dataset["image"])] == expected
    assert [result.score for result in detector([dataset[0], dataset[1]])] == expected
    assert [result.score for result in detector.stream(dataset)] == expected
    assert detector.explain(dataset[1]).result.score == expected[1]


def test_a_row_with_a_path_reads_no_address(detector: Detector):
    (result,) = detector([{"image": "https://127.0.0.1/a.png", "label": 0}])
    assert result.error is not None
    assert "neither bytes nor the path of a local file" in result.error


def test_text_is_no_name(detector: Detector):
    text = "data:image/png;base64," + base64.b64encode(bytes(10**6)).decode()
    first, second = detector([picture(), text])
    assert (first.picture, second.picture) == ("picture 1", "picture 2")
    assert second.error is not None
    assert len(second.error) < 200
