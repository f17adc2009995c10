"""What names of labels mean, those of a model, a dataset, a list or a folder: which of them say `generated`.

Numbers alone mean nothing: `datasets` numbers folders by the alphabet, so `generated` and `real` are 0 and 1 there and
1 and 0 here. What is neither named nor stated is refused.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from .errors import FakefaceError

LABELS = ("real", "generated")  # as in fakeface.configuration_fakeface

REAL = {
    "real", "reals", "human", "humans", "photo", "photos", "photograph", "photographs", "photography", "authentic",
    "natural", "nature", "genuine", "camera", "hum",
}  # fmt: skip
# Of `GENERATED`: those that name what made a picture.
GENERATORS = {"stylegan", "midjourney", "dalle", "flux", "sdxl"}
GENERATED = {
    "generated", "fake", "fakes", "ai", "artificial", "synthetic", "deepfake", "deepfakes", "gan", "diffusion",
    "aigenerated", "aigc", *GENERATORS,
}  # fmt: skip
NEGATIONS = {"no", "not", "non", "un", "without"}
# Words that say nothing of a label, and split names among them.
FILLERS = {
    "image", "images", "img", "imgs", "picture", "pictures", "pics", "face", "faces", "sample", "samples", "data",
    "class", "label", "train", "training", "val", "valid", "validation", "dev", "test", "testing", "zip", "tar", "gz",
}  # fmt: skip
SPLITS = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "test": "test", "testing": "test", "unseen": "unseen",
}  # fmt: skip
LONGEST = 200  # characters of a name; an untrusted one may have a million
CURE = "name them, or state their order: --labels real,generated, or labels: [real, generated] in a recipe"


class LabelsError(FakefaceError):
    """Labels cannot be told apart; the message lists them and names the cure."""


class Told(NamedTuple):
    """What the folders that a picture lies in say of it.

    Attributes:
        label: its place in `LABELS`.
        deeper: the folder below the one that says so, or that folder where it is named after a generator; may be empty.
        split: `train`, `validation`, `test` or `unseen`; empty where none is named.
    """

    label: int
    deeper: str
    split: str


def generated_labels(names: Sequence[str], chosen: Sequence[str] = ()) -> list[int]:
    """Places of the labels that mean `generated`; all others mean `real`.

    Args:
        names: of the model's labels, in their order.
        chosen: names of the ones that mean `generated`, for models whose names do not say.

    Raises:
        LabelsError: a chosen name is none of the model's, or a label's meaning cannot be told.
    """
    listed = ", ".join(map(repr, names))
    if chosen:
        if unknown := sorted(set(chosen) - set(names)):
            raise LabelsError(f"no label {unknown[0]!r}: the model has {listed}")
        if len(names) > 1 and set(names) <= set(chosen):
            raise LabelsError(f"all labels are said to mean generated ({listed}): leave one that means real")
        return [place for place, name in enumerate(names) if name in chosen]
    meanings = [meaning(name) for name in names]
    if None in meanings or (len(names) > 1 and len(set(meanings)) == 1):
        raise LabelsError(
            f"which labels mean generated cannot be told from their names ({listed}): name them with --generated-label"
        )
    return [place for place, found in enumerate(meanings) if found == "generated"]


def meaning(name: str) -> str | None:
    """`real` or `generated`, where the words of a name say one of them and nothing else; else `None`."""
    return _meaning(name) if len(name) <= LONGEST else None


@lru_cache(1024)  # datasets ask for the same words in every row
def _meaning(name: str) -> str | None:
    words = _words(name)
    found = [label for label, known in zip(LABELS, (REAL, GENERATED), strict=True) if words & known]
    return found[0] if len(found) == 1 and not words & NEGATIONS else None


def _words(name: str) -> set[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # RealFace, artificialImage
    return set(re.split(r"[^a-z]+", parted.lower())) - {""}


def stated_order(words: Sequence[str]) -> tuple[str, ...]:
    """An order of labels that somebody states, `("generated", "real")`; empty for none.

    Raises:
        LabelsError: a word is not a label, or one of the two labels is not among them.
    """
    if words and set(words) != set(LABELS):
        listed = ", ".join(map(repr, words))
        raise LabelsError(f"labels is {listed}: it takes {' and '.join(LABELS)}, in the order of their numbers")
    return tuple(words)


def place_of(name: str, stated: Sequence[str] = ()) -> int:
    """The place in `LABELS` of one word that stands for a label.

    Args:
        name: such as `fake`; or a number, which means what is stated.
        stated: what the numbers from 0 mean, as `stated_order` has it.

    Raises:
        LabelsError: it says neither.
    """
    if told := meaning(name):
        return LABELS.index(told)
    number = name.strip().removesuffix(".0")
    numbers = [str(i) for i in range(len(stated))]
    if number in numbers:
        return LABELS.index(stated[numbers.index(number)])
    shown = repr(name if len(name) <= 100 else name[:100] + "…")
    raise LabelsError(f"the label {shown} says neither real nor generated; {CURE}")


def places_of(names: Sequence[str] | None, stated: Sequence[str] = ()) -> list[int]:
    """The place in `LABELS` of each number of a dataset's labels.

    Args:
        names: of the labels, in the order of their numbers; `None` where they have none.
        stated: as for `place_of`; of names that do not say it, where these are as many.

    Raises:
        LabelsError: neither says it.
    """
    if names is None:
        if not stated:
            raise LabelsError(f"the labels are numbers, and nothing says which are real; {CURE}")
        return [LABELS.index(label) for label in stated]
    told = [meaning(name) for name in names]
    if None in told and len(stated) == len(names):
        numbers = [str(i) for i in range(len(stated))]
        by_value = sorted(names) == sorted(numbers)  # folders `1` and `0` mean the numbers, in whatever order
        told = [stated[int(name) if by_value else i] for i, name in enumerate(names)]
    if None in told:
        listed = ", ".join(map(repr, names[:10]))[:200]
        raise LabelsError(f"the label names {listed} do not say which are real; {CURE}")
    return [LABELS.index(str(label)) for label in told]


def told_by_folders(folders: Sequence[str]) -> Told | None:
    """What the names of folders say of a picture in them; `None` where they say nothing.

    A folder `real` or `generated`, at the top or in one of a split, decides alone. Else those do whose names hold no
    other word (`fake`, `0_real`, `training_fake`, `RealFaces`), and only without such a folder the others
    (`stable-diffusion`, `my-fakes`).

    Args:
        folders: from the outermost on; archives count as folders.

    Raises:
        LabelsError: the folders contradict each other.
    """
    split = next((SPLITS[name.lower()] for name in folders if name.lower() in SPLITS), "")
    inner = next((i for i, name in enumerate(folders) if name.lower() not in SPLITS), 0)
    if folders and folders[inner] in LABELS:
        places = [inner]
    else:
        loose = [i for i, name in enumerate(folders) if meaning(name)]
        places = [i for i in loose if _words(folders[i]) <= REAL | GENERATED | FILLERS] or loose
    if not places:
        return None
    told = {str(meaning(folders[i])) for i in places}
    if len(told) > 1:
        listed = "/".join(folders)[:200]
        raise LabelsError(f"the folders {listed} say real and generated; rename one, or list the pictures as CSV")
    first = places[0]
    words = _words(folders[first])
    is_generator = bool(words & GENERATORS) or not words <= REAL | GENERATED | FILLERS
    below = [name for name in folders[first + 1 :] if name.lower() not in SPLITS]
    label = LABELS.index(told.pop())
    return Told(label, folders[first] if label and is_generator else (below or [""])[0], split)
