"""From pictures to scores and verdicts; what the CLI and the Space call.

>>> from fakeface import Detector, list_pictures
>>> detector = Detector.from_pretrained()                           # doctest: +SKIP
>>> detector("portrait.jpg")                                        # doctest: +SKIP
Result(picture='portrait.jpg', score=0.973, verdict='generated', reasons=(...), error=None)
>>> for result in detector.stream(list_pictures(["album"])):        # doctest: +SKIP
...     print(result.verdict, result.picture)
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, cast, overload

import numpy as np
import torch
from PIL import Image

from .configuration_fakeface import FakeFaceConfig
from .devices import pick_device, pick_dtype
from .explain import Explanation, cam, method_used, place
from .faces import Face, FaceFinder, FaceModelMissing, cut_face, face_square, set_upright
from .image_processing_fakeface import FakeFaceImageProcessor
from .images import PictureError, load_picture
from .model_folder import ModelFolderError, default_model, load_model_folder
from .modeling_fakeface import FakeFaceForImageClassification
from .results import FaceResult, Result

LARGEST_CROP = 280  # pixels: larger face crops are shrunk to it first, as those of the training data were

NO_FACE = "no face"
NO_FACE_FOUND = "no face was found in the picture"
CENTRE_JUDGED = "the centre square of the picture was judged: faces were not searched for"
NOT_CALIBRATED = "the model is not calibrated: read the score as a rank, not as a probability"


@dataclass
class _Case:
    """A picture on its way: the faces to judge (`None` for its centre) and their scores as they come."""

    name: str
    size: tuple[int, int] = (0, 0)
    faces: list[Face] | None = None
    error: str | None = None
    scores: list[float] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        wanted = 1 if self.faces is None else len(self.faces)
        return self.error is not None or len(self.scores) == wanted


class Thresholds(Protocol):
    """Whatever has the two thresholds of a verdict, as `FakeFaceConfig` has."""

    @property
    def threshold_generated(self) -> float: ...
    @property
    def threshold_real(self) -> float: ...


def verdict(score: float, config: Thresholds) -> str:
    """Read the verdict off a score (0 to 1) at the thresholds stored with the model; a score on one is beyond it."""
    if score >= config.threshold_generated:
        return "generated"
    return "real" if score <= config.threshold_real else "uncertain"


class Detector:
    """Tells real from generated pictures with one model.

    Attributes:
        model: in evaluation mode, on the device that the detector uses.
        processor: the image processor that belongs to it.
        finder: finds the faces to judge; without one the centre square of every picture is judged.
    """

    def __init__(
        self,
        model: FakeFaceForImageClassification,
        processor: FakeFaceImageProcessor,
        *,
        name: str = "the model",
        finder: FaceFinder | None = None,
        centre_reason: str = CENTRE_JUDGED,
    ):
        self.model = model.eval()
        self.processor = processor
        self.finder = finder
        self._name = name
        self._centre_reason = centre_reason

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        faces: bool | Literal["auto"] | FaceFinder = "auto",
    ) -> "Detector":
        """Load a model folder. Its own code files never run: the classes are those of the installed package.

        Args:
            model: a folder or a Hub id; by default what `default_model` finds.
            revision: branch, tag or commit of a Hub repository.
            device: where to compute, such as `"cpu"` or `"cuda:1"`; by default the GPU if there is one.
            dtype: of the weights, such as `"bfloat16"`; by default float32. BatchNorm stays float32.
            faces: `True` judges the faces of a picture; `False` its centre square, for pictures that are face crops
                already; `"auto"` judges faces unless no face model is named and the Hub does not give it, and then
                says so in each result's reasons. Or a `FaceFinder`.

        Raises:
            FaceFinderError: the face model is missing (only with `faces=True`) or not the one that belongs here.
            ModelFolderError: the folder is missing, incomplete, broken or of another kind; the message has the cure.
            ValueError: there is no such device or type.
        """
        name = os.fspath(default_model() if model is None else model)
        where, kind = pick_device(device), pick_dtype(dtype)
        finder, reason = _finder(faces)
        loaded, processor = load_model_folder(name, revision=revision, dtype=kind)
        loaded.to(where)  # pyright: ignore[reportArgumentType]  # transformers' decorator hides its signature
        return cls(loaded, processor, name=name, finder=finder, centre_reason=reason)

    @property
    def config(self) -> FakeFaceConfig:
        """The model's config: architecture, calibration and thresholds."""
        return cast(FakeFaceConfig, self.model.config)

    @overload
    def __call__(self, pictures: list[Any] | tuple[Any, ...], *, batch_size: int = 16) -> list[Result]: ...
    @overload
    def __call__(self, pictures: Any, *, batch_size: int = 16) -> Result: ...
    def __call__(self, pictures: Any, *, batch_size: int = 16) -> Result | list[Result]:
        """Judge one picture, or a list or tuple of them.

        Args:
            pictures: whatever `load_picture` takes, or a list or tuple of that.
            batch_size: how many faces, of one picture or several, go through the model at once.

        Returns:
            One `Result`, or a list of them in the same order, in which a refused picture has an `error`.

        Raises:
            PictureError: the one picture is refused. Pictures in a list never raise.
            ModelFolderError: the model's weights are broken and give no number.
        """
        if isinstance(pictures, (list, tuple)):
            return list(self.stream(pictures, batch_size=batch_size))
        name = _name(pictures, 1)
        picture = load_picture(pictures, name=name)
        return next(self._run([self._open(name, picture)], batch_size))

    def stream(self, pictures: Iterable[Any], *, batch_size: int = 16) -> Iterator[Result]:
        """Judge any number of pictures, one `Result` each, in order.

        Faces of several pictures share a batch. Memory holds one picture and one batch of crops, never more.

        Raises:
            ModelFolderError: as in a call.
            ValueError: `batch_size` is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}: it takes a number from 1")
        yield from self._run(map(self._try, enumerate(pictures, start=1)), batch_size)

    def explain(
        self, picture: Any, *, label: str = "generated", method: str = "grad-cam", face: int | None = None
    ) -> Explanation:
        """Judge one picture and map which parts of a face spoke for a label.

        Args:
            picture: whatever `load_picture` takes.
            label: `"real"` or `"generated"`.
            method: one of `fakeface.explain.METHODS`.
            face: place of the face in `Result.faces`, from 0; by default the one that decided.

        Raises:
            PictureError: the picture is refused, or has no face.
            ValueError: there is no such label, method or face.
        """
        name = _name(picture, 1)
        loaded = load_picture(picture, name=name)
        case, arrays = self._open(name, loaded)
        if case.faces == []:
            raise PictureError(name, "no-face", f"{NO_FACE_FOUND}, so there is nothing to explain; crop it to the face")
        result = next(self._run([(case, arrays)], 16))
        if face is not None and not 0 <= face < len(result.faces):
            raise ValueError(f"face is {face}: the picture has {len(result.faces)}, counted from 0")
        if case.faces is None:
            subject, box, turns = loaded, self.processor.crop_box(*loaded.size), 0
        else:
            chosen = case.faces[self._deciding(case, result.faces) if face is None else face]
            subject, turns = self._crop(loaded, chosen), chosen.turns
            box = face_square(chosen, self.config.face_margin * self.processor.crop_fraction)
        pixel_values = torch.from_numpy(self.processor.to_array(subject))[None].to(self.model.device)
        _, maps = cam(self.model, pixel_values, label=label, method=method)
        map = np.rot90(maps[0].cpu().numpy(), -turns)
        used = method_used(self.model, method)
        return Explanation(result, loaded, label, used, place(map, loaded.size, box))

    def _try(self, numbered: tuple[int, Any]) -> tuple[_Case, Iterator[np.ndarray]]:
        """As `_open`, of anything; a picture that is refused becomes a case with an error."""
        number, picture = numbered
        name = _name(picture, number)
        try:
            return self._open(name, load_picture(picture, name=name))
        except PictureError as error:
            return _Case(name, error=str(error)), iter(())

    def _open(self, name: str, picture: Image.Image) -> tuple[_Case, Iterator[np.ndarray]]:
        """A case of a loaded picture, and the model's inputs for it, cut as they are asked for."""
        if self.finder is None:
            return _Case(name, picture.size), iter([self.processor.to_array(picture)])
        faces = self.finder(picture)
        arrays = (self.processor.to_array(self._crop(picture, face)) for face in faces)
        return _Case(name, picture.size, faces), arrays

    def _crop(self, picture: Image.Image, face: Face) -> Image.Image:
        square = face_square(face, self.config.face_margin)
        return set_upright(cut_face(picture, square, largest=LARGEST_CROP), face)

    def _run(self, cases: Iterable[tuple[_Case, Iterator[np.ndarray]]], batch_size: int) -> Iterator[Result]:
        """Results of cases, in order. No more than a batch of pictures waits, even where few of them have faces."""
        waiting: deque[_Case] = deque()
        batch: list[tuple[_Case, np.ndarray]] = []
        for case, arrays in cases:
            waiting.append(case)
            for array in arrays:
                batch.append((case, array))
                if len(batch) == batch_size:
                    self._score(batch)
            if len(waiting) >= batch_size:
                self._score(batch)
            while waiting and waiting[0].complete:
                yield self._result(waiting.popleft())
        self._score(batch)
        yield from map(self._result, waiting)

    @torch.inference_mode()
    def _score(self, batch: list[tuple[_Case, np.ndarray]]) -> None:
        """Give each case of a batch its scores, and empty the batch."""
        if batch:
            pixel_values = torch.stack([torch.from_numpy(array) for _, array in batch]).to(self.model.device)
            scores = self._checked(self.model(pixel_values).logits.softmax(dim=1)[:, 1])
            for (case, _), score in zip(batch, scores, strict=True):
                case.scores.append(score)
            batch.clear()

    def _checked(self, scores: torch.Tensor) -> list[float]:
        if not torch.isfinite(scores).all():
            raise ModelFolderError(
                f"{self._name}: its weights give no number as score; fetch it again, or use another model folder"
            )
        return scores.tolist()

    def _result(self, case: _Case) -> Result:
        if case.error is not None:
            return Result(case.name, None, None, error=case.error)
        if case.faces == []:
            return Result(case.name, None, NO_FACE, (NO_FACE_FOUND,))
        smallest = self.config.smallest_face
        if case.faces is None:
            limit, (width, height) = round(smallest * self.config.face_margin), case.size
            small = f"the picture is {width} x {height} pixels: under {limit} is too small to tell"
            judged = self._judge(case.scores[0], small if min(case.size) < limit else None)
            result = Result(case.name, judged.score, judged.verdict, (self._centre_reason, *judged.reasons))
        else:
            small = "the face is {:.0f} pixels long: under {} is too small to tell"
            faces = tuple(
                replace(
                    self._judge(score, small.format(int(face.side), smallest) if face.side < smallest else None),
                    box=face.box,
                )
                for face, score in zip(case.faces, case.scores, strict=True)
            )
            judged = faces[self._deciding(case, faces)]
            many = (f"{len(faces)} faces were judged, and the most generated one decides",) if len(faces) > 1 else ()
            result = Result(case.name, judged.score, judged.verdict, (*many, *judged.reasons), faces=faces)
        uncalibrated = (NOT_CALIBRATED,) if self.config.target_fpr is None else ()
        return replace(result, reasons=(*result.reasons, *uncalibrated))

    def _judge(self, score: float, too_small: str | None) -> FaceResult:
        """The verdict on one square, its box not yet set; `too_small` is the reason to leave it open."""
        box = (0.0, 0.0, 0.0, 0.0)
        if too_small:
            return FaceResult(box, score, "uncertain", (too_small,))
        found, reasons = verdict(score, self.config), ()
        if found == "uncertain":
            low, high = self.config.threshold_real, self.config.threshold_generated
            reasons = (f"the score lies between the thresholds {low:.3g} and {high:.3g}: too close to call",)
        return FaceResult(box, score, found, reasons)

    def _deciding(self, case: _Case, faces: tuple[FaceResult, ...]) -> int:
        """Place of the face that decides, by the rule that `Result` states."""
        large = [found.side >= self.config.smallest_face for found in case.faces or []]
        return max(range(len(faces)), key=lambda place: (large[place], faces[place].score))


def _finder(faces: bool | Literal["auto"] | FaceFinder) -> tuple[FaceFinder | None, str]:
    """The face finder asked for, if any, and what to say where the centre is judged instead."""
    if faces is False or isinstance(faces, FaceFinder):
        return faces or None, CENTRE_JUDGED
    try:
        return FaceFinder.from_pretrained(), CENTRE_JUDGED
    except FaceModelMissing as error:
        if faces is True:
            raise
        return None, f"{CENTRE_JUDGED} ({error})"


def _name(picture: Any, number: int) -> str:
    """The path or address as given, a dataset row's path, or the picture's number."""
    if isinstance(picture, dict):
        picture = picture.get("path")
    return os.fsdecode(picture) if isinstance(picture, (str, os.PathLike)) else f"picture {number}"


__all__ = ["Detector", "FaceResult", "ModelFolderError", "Result", "default_model", "verdict"]
