"""The face of each picture of a dataset: box and landmarks that its rows bring along, or that the finder finds once.

>>> from fakeface.data.faces import faceless, with_faces
>>> dataset = with_faces(dataset, workers=4, kept=Path("run/faces.parquet"))      # doctest: +SKIP
>>> print(len(faceless(dataset)), "pictures without a face")                      # doctest: +SKIP
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, Features, Value
from datasets import Sequence as ListOf
from PIL import Image
from tqdm.auto import tqdm

from ..faces import SHA256, Face, FaceFinder
from ..images.load import load_picture
from ..utils.files import replace_file
from ..utils.processes import Processes
from .columns import FACE_COLUMNS
from .loading import DataError

NEARLY_AS_LONG = 0.6  # of the largest face: what is longer than that may be the one that the picture is of
AT_ONCE = 500  # pictures, after which what was found is kept
CHUNK = 8  # pictures that a process takes at a time
FINDER = b"finder"  # key of the table's metadata: sha256 of the finder that found what it keeps

Found = tuple[list[float], list[float]] | None  # box and landmarks, as rows have them


def with_faces(
    dataset: Dataset, workers: int = 1, kept: Path | None = None, finder: FaceFinder | None = None
) -> Dataset:
    """The dataset with the columns `face_box` and `face_landmarks`; both are `None` where there is no face.

    Rows that have them keep them. In the others the face is found, levelled by `FaceFinder.level`: of several the one
    nearest to the picture's centre, among those not much shorter than the largest.

    Args:
        dataset: with `image` (undecoded) and `sha256`, as `prepare_splits` returns it. `face_box` is left, top, width
            and height, `face_landmarks` x and y of the right eye, left eye, nose, right and left corner of the mouth,
            in pixels of the upright picture.
        workers: processes that find.
        kept: parquet file of what was found, by sha256, which the next call reads; a run that is stopped goes on from
            it. By default nothing is kept.
        finder: by default `FaceFinder.from_pretrained()`, loaded only where it is needed.

    Raises:
        DataError: a row's box or landmarks are not as they must be, or a picture ended a worker.
        FaceFinderError: the finder is needed, and cannot be loaded.
    """
    rows: list[Found] = [_given(row, number) for number, row in enumerate(_columns(dataset))]
    hashes = dataset["sha256"][:]
    known = _read(kept) if kept else {}
    wanted = {sha256: i for i, sha256 in enumerate(hashes) if rows[i] is None and sha256 not in known}
    if wanted:
        finder = finder or FaceFinder.from_pretrained()
        pictures = dataset.select_columns(["image"]).select(list(wanted.values()))
        bar = tqdm(total=len(wanted), desc="Finding faces", unit="picture")
        for sha256, found in zip(wanted, _find(pictures, finder, workers), strict=True):
            known[sha256] = found
            bar.update()
            if kept and bar.n % AT_ONCE == 0:
                _write(kept, known)
        bar.close()
        if kept:
            _write(kept, known)
    rows = [row or known.get(sha256) for row, sha256 in zip(rows, hashes, strict=True)]
    bare = dataset.remove_columns([name for name in FACE_COLUMNS if name in dataset.column_names])
    features = Features({name: ListOf(Value("float32")) for name in FACE_COLUMNS})
    columns = {name: [row and row[place] for row in rows] for place, name in enumerate(FACE_COLUMNS)}
    for name, values in columns.items():
        bare = bare.add_column(name, values, feature=features[name])  # pyright: ignore[reportCallIssue]
    return bare


def faceless(dataset: Dataset) -> list[str]:
    """What to call the pictures of `with_faces` that have no face: path, or source and the hash of their bytes."""
    told = dataset.select_columns(["image", "source", "sha256"])
    rows: Iterator[Any] = (told[i] for i, found in enumerate(dataset["face_landmarks"][:]) if found is None)
    return [row["image"]["path"] or f"{row['source']} {row['sha256'][:16]}" for row in rows]


def only_faces(dataset: Dataset) -> Dataset:
    """The rows of `with_faces` that have a face."""
    there = [i for i, found in enumerate(dataset["face_landmarks"][:]) if found is not None]
    return dataset if len(there) == len(dataset) else dataset.select(there)


def face_of_row(row: dict[str, Any], size: tuple[int, int]) -> Face:
    """The face of a row of `with_faces` that has one.

    Args:
        row: with `face_box` and `face_landmarks`.
        size: width and height of its picture.

    Raises:
        DataError: it lies far outside the picture.
    """
    left, top, width, height = row["face_box"]
    numbers = row["face_landmarks"]
    points = tuple(zip(numbers[0::2], numbers[1::2], strict=True))
    for place, length in enumerate(size):
        middle = sum(point[place] for point in points) / len(points)
        if not -length <= middle <= 2 * length:
            raise DataError(f"face_landmarks {numbers} lie outside the picture of {size[0]} x {size[1]} pixels")
    return Face((left, top, left + width, top + height), 1.0, points)


def main_face(faces: Sequence[Face], size: tuple[int, int]) -> Face | None:
    """The face that a picture is of: of those nearly as long as the largest the one nearest to the centre."""
    large = [face for face in faces if face.side >= NEARLY_AS_LONG * faces[0].side]

    def off_centre(face: Face) -> float:
        left, top, right, bottom = face.box
        return math.hypot((left + right - size[0]) / 2, (top + bottom - size[1]) / 2)

    return min(large, key=off_centre, default=None)


def find_main_face(finder: FaceFinder, picture: Image.Image) -> Face | None:
    """The face that a picture is of, levelled; `None` where it has none."""
    face = main_face(finder(picture), picture.size)
    return face and finder.level(picture, face)


def _columns(dataset: Dataset) -> Iterator[dict[str, Any]]:
    there = [name for name in FACE_COLUMNS if name in dataset.column_names]
    if len(there) < len(FACE_COLUMNS):
        return iter([{}] * len(dataset))
    return iter(dataset.select_columns(there))  # pyright: ignore[reportReturnType]


def _given(row: dict[str, Any], number: int) -> Found:
    box, landmarks = row.get("face_box"), row.get("face_landmarks")
    if box is None or landmarks is None:
        return None
    if (len(box), len(landmarks)) != (4, 10) or not all(map(math.isfinite, (*box, *landmarks))):
        raise DataError(f"row {number}: face_box takes 4 numbers and face_landmarks 10, not {box} and {landmarks}")
    return box, landmarks


def _find(pictures: Dataset, finder: FaceFinder, workers: int) -> Iterator[Found]:
    images = (row["image"] for row in pictures)  # pyright: ignore[reportArgumentType, reportCallIssue]
    if workers < 2:
        yield from map(partial(_look, finder), images)
        return
    with Processes(workers, _start, (finder,)) as processes:
        try:
            for first in range(0, len(pictures), AT_ONCE):
                part = pictures.select(range(first, min(first + AT_ONCE, len(pictures))))
                images = [row["image"] for row in part]  # pyright: ignore[reportArgumentType, reportCallIssue]
                found = [processes.submit(_work, images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)]
                for future in found:
                    yield from future.result()
        except BrokenProcessPool:
            raise DataError("a picture ended the process that looked for its face; run it with one worker") from None


_finder: FaceFinder | None = None


def _start(finder: FaceFinder) -> None:
    global _finder
    _finder = finder


def _work(images: list[dict[str, Any]]) -> list[Found]:
    assert _finder is not None
    return [_look(_finder, image) for image in images]


def _look(finder: FaceFinder, image: dict[str, Any]) -> Found:
    face = find_main_face(finder, load_picture(image))
    if face is None:
        return None
    left, top, right, bottom = face.box
    return [left, top, right - left, bottom - top], [number for point in face.landmarks for number in point]


def _read(file: Path) -> dict[str, Found]:
    """What an earlier call kept; nothing of another finder, nor of a file that is none of ours."""
    try:
        table = pq.read_table(file)
        if (table.schema.metadata or {}).get(FINDER) != SHA256.encode():
            return {}
        rows = table.select(["sha256", *FACE_COLUMNS]).to_pylist()
    except (OSError, KeyError, pa.ArrowInvalid):
        return {}
    return {row["sha256"]: _given(row, number) for number, row in enumerate(rows)}


def _write(file: Path, known: dict[str, Found]) -> None:
    columns: dict[str, Any] = {"sha256": list(known)}
    for place, name in enumerate(FACE_COLUMNS):
        columns[name] = pa.array([found and found[place] for found in known.values()], pa.list_(pa.float32()))
    file.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(file) as fresh:
        pq.write_table(pa.table(columns).replace_schema_metadata({FINDER: SHA256.encode()}), fresh)


__all__ = ["face_of_row", "faceless", "find_main_face", "main_face", "only_faces", "with_faces"]
