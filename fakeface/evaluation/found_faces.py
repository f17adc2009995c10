"""Figures as users meet them: of the face that is found in each picture, cut as in use."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from ..data.columns import FACE_COLUMNS
from ..data.faces import faceless, only_faces, with_faces
from ..detector.preparation import Preparer
from ..faces import FaceFinder
from ..utils.errors import OptionError
from .scores import MEASURED
from .subjects import Subject

SHOWN = 3  # names of pictures without a face in a remark


def cut_of(subject: Subject, faces: bool | None = None) -> Preparer | None:
    """What finds and cuts the faces for a subject; `None` where its pictures are judged as they are.

    Args:
        subject: the model under test.
        faces: whether they are found; by default of models that cut faces by their landmarks.

    Raises:
        OptionError: faces are asked for, and the model is none of ours.
        FaceFinderError: the face model cannot be loaded.
    """
    if subject.preparer is None:
        if faces:
            raise OptionError(f"{subject.name}: only models of fakeface say how faces are cut; leave out --faces")
        return None
    if faces is None:
        faces = subject.preparer.face_cut == "landmarks"
    return replace(subject.preparer, finder=FaceFinder.from_pretrained()) if faces else None


def find_in_splits(splits: DatasetDict, cut: Preparer, workers: int = 1, kept: Path | None = None) -> DatasetDict:
    """Splits whose measured pictures have the columns of `with_faces`; `workers` and `kept` as there."""
    return DatasetDict({
        name: with_faces(part, workers, kept, cut.finder) if name in MEASURED else part for name, part in splits.items()
    })  # fmt: skip


def measurable(dataset: Dataset, cut: Preparer | None, columns: list[str]) -> Dataset:
    """The rows and columns of a split that are scored: with `cut` those with a face."""
    return only_faces(dataset).select_columns([*columns, *FACE_COLUMNS]) if cut else dataset.select_columns(columns)


def told_of_faces(splits: DatasetDict, cut: Preparer | None, subject: Subject) -> tuple[dict[str, Any], list[str]]:
    """What a report says of faces: how they were cut, and where there are none; and in words, where it matters."""
    if cut is None:
        own = subject.preparer is not None and subject.preparer.face_cut == "landmarks"
        remark = "The pictures were judged as they are, not as this model meets faces: it cuts them by their landmarks"
        return {"cut": "as they are"}, [remark] if own else []
    names = {name: faceless(part) for name, part in sorted(splits.items()) if name in MEASURED}
    without = [name for part in names.values() for name in part]
    told = {
        "cut": cut.face_cut,
        "margin": cut.face_margin,
        "without": {name: len(part) for name, part in names.items()},
    }
    remark = f"Scores are those of the found face of each picture, cut by its {cut.face_cut}"
    if without:
        more = f" and {len(without) - SHOWN} more" if len(without) > SHOWN else ""
        listed = ", ".join(without[:SHOWN])
        remark += f"; {len(without)} pictures in which none was found are not counted: {listed}{more}"
    return told, [remark]
