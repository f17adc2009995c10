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
from dataclasses import replace
from typing import Any, Literal, Protocol, cast, overload

import numpy as np
import torch
from PIL import Image

from .configuration_fakeface import FakeFaceConfig
from .devices import fastest_dtype, pick_device, pick_dtype
from .explain import Explanation, maps_of, method_used, place, weigh
from .faces import FaceFinder, FaceModelMissing, face_square
from .feature_layers import layer_used
from .image_processing_fakeface import FakeFaceImageProcessor
from .images import PictureError, load_picture
from .inference import prepare
from .model_folder import ModelFolderError, default_model, load_model_folder
from .modeling_fakeface import FakeFaceForImageClassification
from .onnx_model import OnnxModel, onnx_file
from .preparation import Case, Preparer
from .results import FaceResult, Result

NO_FACE = "no face"
NO_FACE_FOUND = "no face was found in the picture"
CENTRE_JUDGED = "the centre square of the picture was judged: faces were not searched for"
TOO_SMALL = "too small to tell"  # ends the reason of a verdict left open for the size
NOT_CALIBRATED = "the model is not calibrated: read the score as a rank, not as a probability"
LARGEST_SPREAD = 0.25  # of scores between re-encodings: above it the verdict stays open even where all agree on it


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
        preparer: makes the model's inputs of pictures, with these settings, in this process or another.
    """

    def __init__(
        self,
        model: FakeFaceForImageClassification | OnnxModel,
        processor: FakeFaceImageProcessor,
        *,
        name: str = "the model",
        finder: FaceFinder | None = None,
        centre_reason: str = CENTRE_JUDGED,
        crops: int = 1,
        consistency: int = 0,
        max_faces: int | None = None,
        channels_last: bool = False,
    ):
        self.model = model.eval()
        self.processor = processor
        margin = float(self.config.face_margin)
        self.preparer = Preparer(processor.size, processor.crop_fraction, margin, finder, crops, consistency, max_faces)
        self._name = name
        self._centre_reason = centre_reason
        self._channels_last = channels_last
        # A GPU computes a batch while the next one is made ready; a CPU would only hold results back.
        self._ahead = 1 if self.model.device.type == "cuda" else 0

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        faces: bool | Literal["auto"] | FaceFinder = "auto",
        crops: int = 1,
        consistency: int = 0,
        max_faces: int | None = None,
    ) -> "Detector":
        """Load a model folder. Its own code files never run: the classes are those of the installed package.

        Args:
            model: a folder or a Hub id, or what `fakeface export onnx` wrote: its file, or its folder, whose
                `onnx/model.onnx` is then taken. By default what `default_model` finds.
            revision: branch, tag or commit of a Hub repository.
            device: where to compute, such as `"cpu"` or `"cuda:1"`; by default the GPU if there is one.
            dtype: of the weights, such as `"bfloat16"`; by default float32. BatchNorm stays float32. `"auto"` is the
                quickest for the device: 16 bits where it multiplies them itself, channels last in memory, and the
                trunk's BatchNorms folded into its convolutions. Scores then differ a little from those of float32.
            faces: `True` judges the faces of a picture; `False` its centre square, for pictures that are face crops
                already; `"auto"` judges faces unless no face model is named and the Hub does not give it, and then
                says so in each result's reasons. Or a `FaceFinder`.
            crops: judge so many crops of each face, and take the mean of their logits: the face, its mirror image,
                then corners and theirs, up to 10. Costs the model's time as often.
            consistency: judge so many re-encodings of each face too, as messengers and sites would make them, the same
                ones for every picture. Where they disagree in the verdict, or their scores by more than
                `LARGEST_SPREAD`, the verdict is `uncertain`; the score stays. Costs the model's time 1 + that often,
                times `crops`, and an encoding each.
            max_faces: judge only so many faces of a picture, the largest, and say so; by default all.

        Raises:
            FaceFinderError: the face model is missing (only with `faces=True`) or not the one that belongs here.
            ModelFolderError: the folder is missing, incomplete, broken or of another kind; the message has the cure.
            ValueError: there is no such device or type, or `crops`, `consistency` or `max_faces` are out of range.
        """
        name = os.fspath(default_model() if model is None else model)
        views: dict[str, Any] = {"crops": crops, "consistency": consistency, "max_faces": max_faces}
        if exported := onnx_file(name):
            if dtype not in (None, "auto") or (device and str(device) != "cpu"):
                raise ValueError(f"{exported}: an ONNX file computes on the CPU, in the type it was exported with")
            finder, reason = _finder(faces)
            onnx = OnnxModel(exported)
            return cls(onnx, onnx.processor, name=name, finder=finder, centre_reason=reason, **views)
        where = pick_device(device)
        fastest = dtype == "auto"
        kind = fastest_dtype(where) if fastest else pick_dtype(dtype)
        finder, reason = _finder(faces)
        loaded, processor = load_model_folder(name, revision=revision, dtype=torch.float32 if fastest else kind)
        if fastest:
            prepare(loaded, kind)
        loaded.to(where)  # pyright: ignore[reportArgumentType]  # transformers' decorator hides its signature
        return cls(loaded, processor, name=name, finder=finder, centre_reason=reason, channels_last=fastest, **views)

    @property
    def name(self) -> str:
        """What the model was loaded by."""
        return self._name

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
        return next(self.judge([self.preparer.open(name, picture)], batch_size))

    def stream(self, pictures: Iterable[Any], *, batch_size: int = 16) -> Iterator[Result]:
        """Judge any number of pictures, one `Result` each, in order.

        Faces of several pictures share a batch. Memory holds one picture and one batch of crops, never more.

        Raises:
            ModelFolderError: as in a call.
            ValueError: `batch_size` is below 1.
        """
        opened = (
            self.preparer.try_open(_name(picture, number), picture) for number, picture in enumerate(pictures, start=1)
        )
        yield from self.judge(opened, batch_size)

    def explain(
        self,
        picture: Any,
        *,
        label: str | None = "generated",
        method: str | None = None,
        layer: str | None = None,
        face: int | None = None,
    ) -> Explanation:
        """Judge one picture and map which parts of a face spoke for a label.

        Args:
            picture: whatever `load_picture` takes.
            label: `"real"` or `"generated"`; `None` for what the face looks like: `"real"` where its verdict is, else
                `"generated"`. That costs a pass of the model more.
            method: one of `fakeface.explain.METHODS`, by default `"centred-cam"`.
            layer: one of `fakeface.feature_layers.layer_names(model)`, by default the trunk's last.
            face: place of the face in `Result.faces`, from 0; by default the one that decided.

        Raises:
            PictureError: the picture is refused, or has no face.
            ValueError: there is no such label, method, layer or face.
        """
        if isinstance(self.model, OnnxModel):
            raise ValueError(f"{self._name}: maps take gradients, which ONNX files do not have; use the model folder")
        name = _name(picture, 1)
        loaded = load_picture(picture, name=name)
        case, inputs = self.preparer.open(name, loaded)
        if case.faces == []:
            raise PictureError(name, "no-face", f"{NO_FACE_FOUND}, so there is nothing to explain; crop it to the face")
        subjects = 1 if case.faces is None else len(case.faces)
        if face is not None and not 0 <= face < subjects:
            raise ValueError(f"face is {face}: the picture has {len(case.faces or ())}, counted from 0")
        options: dict[str, Any] = {"method": method, "layer": layer}
        if label and subjects * case.views == 1:  # the one pass that is explained also gives the score
            chosen, seen = 0, next(iter(inputs))
            logits, found = weigh(self.model, self._pixel_values([seen]), label=label, **options)
            self._give([case], logits)
            result = self._result(case)
        else:
            crops: list[np.ndarray] = []
            result = next(self.judge([(case, _keeping_every(case.views, inputs, crops))]))
            chosen = self._deciding(case, result.faces) if face is None and case.faces else face or 0
            seen = crops[chosen]
            judged = result.faces[chosen] if case.faces else result
            label = label or ("real" if judged.verdict == "real" else "generated")
            _, found = weigh(self.model, self._pixel_values([seen]), label=label, **options)
        if case.faces is None:
            box, turns = self.processor.crop_box(*loaded.size), 0
        else:
            square = case.faces[chosen]
            box, turns = face_square(square, self.config.face_margin * self.processor.crop_fraction), square.turns
        map = maps_of(found, self.config.image_size)[0].cpu().numpy()
        return Explanation(
            result,
            loaded,
            label,
            method_used(self.model, method),
            layer_used(self.model, layer),
            place(np.rot90(map, -turns), loaded.size, box),
            Image.fromarray(seen),
            map,
            None if case.faces is None else chosen,
        )

    def judge(self, cases: Iterable[tuple[Case, Iterable[np.ndarray]]], batch_size: int = 16) -> Iterator[Result]:
        """Results of pictures that `preparer` prepared, in order; what `stream` does behind the decoder.

        No more than a batch of pictures waits (on a GPU two), even where few of them have faces.

        Raises:
            ModelFolderError, ValueError: as in `stream`.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}: it takes a number from 1")
        waiting: deque[Case] = deque()
        batch: list[tuple[Case, np.ndarray]] = []
        flying: deque[tuple[list[Case], torch.Tensor]] = deque()

        def run(ahead: int = self._ahead) -> None:
            if batch:
                flying.append(([case for case, _ in batch], self._logits([array for _, array in batch])))
                batch.clear()
            while len(flying) > ahead:
                self._give(*flying.popleft())

        for case, inputs in cases:
            waiting.append(case)
            for array in inputs:
                batch.append((case, array))
                if len(batch) == batch_size:
                    run()
            if len(waiting) >= (1 + self._ahead) * batch_size:
                run(ahead=0)
            while waiting and waiting[0].complete:
                yield self._result(waiting.popleft())
        run(ahead=0)
        yield from map(self._result, waiting)

    @torch.inference_mode()
    def _logits(self, inputs: list[np.ndarray]) -> torch.Tensor:
        """Of (n, 2). On a GPU they are still being computed when this returns, and waited for when they are read."""
        return self.model(self._pixel_values(inputs)).logits

    def _give(self, cases: list[Case], logits: torch.Tensor) -> None:
        """Give each case its logits, of (n, 2)."""
        if not torch.isfinite(logits).all():
            raise ModelFolderError(
                f"{self._name}: its weights give no number as score; fetch it again, or use another model folder"
            )
        for case, pair in zip(cases, logits.tolist(), strict=True):
            case.logits.append(pair)

    def _pixel_values(self, inputs: list[np.ndarray]) -> torch.Tensor:
        """Normalised as the processor does it, (n, 3, size, size); pictures lie in memory with channels last."""
        pixels = torch.from_numpy(np.stack(inputs))
        if self.model.device.type == "cuda":
            pixels = pixels.pin_memory()  # or the copy would wait for the batch before
        pixels = pixels.to(self.model.device, non_blocking=True)
        values = pixels.permute(0, 3, 1, 2) / 255
        mean, std = (
            torch.tensor(numbers, dtype=torch.float32, device=pixels.device)[:, None, None]
            for numbers in (self.processor.image_mean, self.processor.image_std)
        )
        values = (values - mean) / std
        return values if self._channels_last else values.contiguous()

    def _scores(self, case: Case) -> list[list[float]]:
        """Of each face, or of the centre: its score, and those of its re-encodings; of crops the mean logit counts."""
        shape = (-1, 1 + self.preparer.consistency, self.preparer.crops, 2)
        return torch.tensor(case.logits).reshape(shape).mean(dim=2).softmax(dim=2)[:, :, 1].tolist()

    def _result(self, case: Case) -> Result:
        if case.error is not None:
            return Result(case.name, None, None, error=str(case.error))
        if case.faces == []:
            return Result(case.name, None, NO_FACE, (NO_FACE_FOUND,))
        smallest, scores = self.config.smallest_face, self._scores(case)
        if case.faces is None:
            limit, (width, height) = round(smallest * self.config.face_margin), case.size
            small = f"the picture is {width} x {height} pixels: under {limit} is {TOO_SMALL}"
            judged = self._judge(scores[0], small if min(case.size) < limit else None)
            result = Result(case.name, judged.score, judged.verdict, (self._centre_reason, *judged.reasons))
        else:
            small = f"the face is {{:.0f}} pixels long: under {{}} is {TOO_SMALL}"
            faces = tuple(
                replace(
                    self._judge(own, small.format(int(face.side), smallest) if face.side < smallest else None),
                    box=face.box,
                )
                for face, own in zip(case.faces, scores, strict=True)
            )
            judged = faces[self._deciding(case, faces)]
            many = (f"{len(faces)} faces were judged, and the most generated one decides",) if len(faces) > 1 else ()
            left = f"the picture has {case.found} faces: the {len(faces)} largest were judged"
            cut = (left,) if case.found > len(faces) else ()
            result = Result(case.name, judged.score, judged.verdict, (*cut, *many, *judged.reasons), faces=faces)
        uncalibrated = (NOT_CALIBRATED,) if self.config.target_fpr is None else ()
        return replace(result, reasons=(*result.reasons, *uncalibrated))

    def _judge(self, scores: list[float], too_small: str | None) -> FaceResult:
        """The verdict on one square, its box not yet set.

        Args:
            scores: its own, and those of its re-encodings.
            too_small: the reason to leave it open for its size.
        """
        box, score = (0.0, 0.0, 0.0, 0.0), scores[0]
        if too_small:
            return FaceResult(box, score, "uncertain", (too_small,))
        found = verdict(score, self.config)
        if found == "uncertain":
            low, high = self.config.threshold_real, self.config.threshold_generated
            reason = f"the score lies between the thresholds {low:.3g} and {high:.3g}: too close to call"
            return FaceResult(box, score, found, (reason,))
        low, high = min(scores), max(scores)
        if high - low > LARGEST_SPREAD or any(verdict(other, self.config) != found for other in scores):
            reason = f"re-encoded it scores from {low:.3f} to {high:.3f}: {found} does not hold"
            return FaceResult(box, score, "uncertain", (reason,))
        return FaceResult(box, score, found)

    def _deciding(self, case: Case, faces: tuple[FaceResult, ...]) -> int:
        """Place of the face that decides, by the rule that `Result` states."""
        large = [found.side >= self.config.smallest_face for found in case.faces or []]
        return max(range(len(faces)), key=lambda place: (large[place], faces[place].score))


def _keeping_every(step: int, inputs: Iterable[np.ndarray], kept: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The inputs, of which every so-manieth, from the first on, also goes into `kept`."""
    for number, array in enumerate(inputs):
        if number % step == 0:
            kept.append(array)
        yield array


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
