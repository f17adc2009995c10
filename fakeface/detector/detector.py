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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast, overload

import numpy as np
import torch
from PIL import Image

from ..configuration_fakeface import FakeFaceConfig
from ..explain.layers import layer_used
from ..explain.maps import Explanation, Seen, maps_of, method_used, place, place_square
from ..faces import Face, FaceFinder, face_square
from ..image_processing_fakeface import FakeFaceImageProcessor
from ..images.load import Opened, PictureError, open_picture
from ..model_folder.fingerprint import fingerprint
from ..model_folder.names import refuse_contradictions
from ..model_folder.onnx import OnnxModel, onnx_file
from ..model_folder.opening import ModelFolderError, default_model, fast_model, load_model_folder
from ..modeling_fakeface import FakeFaceForImageClassification
from ..results import FaceResult, Result
from ..utils.errors import OptionError
from .cascade import NEVER, Bounds, CascadePreparer, judge_in_turn, stored_bounds
from .given import name_of, picture_of
from .judging import NO_FACE_FOUND, Judge
from .points import DEFAULT, set_point
from .preparation import Case, Preparer
from .runtime import fastest_dtype, multiply_out, pick_device, pick_dtype, prepare

_SINGLE = (str, bytes, bytearray, memoryview)  # sequences that are one picture


class Detector:
    """Tells real from generated pictures with one model.

    Attributes:
        model: in evaluation mode, on the device that the detector uses.
        processor: the image processor that belongs to it.
        preparer: makes the model's inputs of pictures, with these settings, in this process or another.
        first: of a cascade the fast detector, which is asked before this one and decides what it is sure of.
        bounds: where that is.
    """

    def __init__(
        self,
        model: FakeFaceForImageClassification | OnnxModel,
        processor: FakeFaceImageProcessor,
        *,
        name: str = "the model",
        finder: FaceFinder | None = None,
        crops: int = 1,
        consistency: int = 0,
        max_faces: int | None = None,
        channels_last: bool = False,
        first: "Detector | None" = None,
        bounds: Bounds = NEVER,
    ):
        self.model = model.eval()
        self.processor = processor
        self.first, self.bounds = first, bounds
        self._own = Preparer(
            processor.size, processor.crop_fraction, float(self.config.face_margin),
            finder, crops, consistency, max_faces, self.config.face_cut,
        )  # fmt: skip
        self.preparer = self._own
        self._judge = Judge(self.config, self._own)
        if first:
            self.preparer = CascadePreparer(**vars(self._own), first=replace(first.preparer, finder=None))
        self._name = name
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
        faces: bool | FaceFinder = True,
        crops: int = 1,
        consistency: int = 0,
        max_faces: int | None = None,
        fast: bool = False,
        operating_point: str = DEFAULT,
        cascade: bool | str | os.PathLike[str] = False,
        bounds: tuple[float, float] | None = None,
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
                already, and says so in each result's reasons. Or a `FaceFinder`; `True` takes
                `FaceFinder.from_pretrained()`.
            crops: judge so many crops of each face, and take the mean of their logits: the face, its mirror image,
                then corners and theirs, up to 10. Costs the model's time as often.
            consistency: judge so many re-encodings of each face too, as messengers and sites would make them, the same
                ones for every picture. Where they disagree in the verdict, or their scores by more than
                `LARGEST_SPREAD`, the verdict is `uncertain`; the score stays. Costs the model's time 1 + that often,
                times `crops`, and an encoding each.
            max_faces: judge only so many faces of a picture, the largest, and say so; by default all.
            fast: where no model is named, take the quicker of those that fakeface ships; see `default_model`.
            operating_point: how many photographs may be called `generated`: `"strict"` one in a thousand, for those
                who accuse; `"default"` as many as the model was calibrated for, one in a hundred; `"triage"` one in
                twenty, for those who sort. The model's config has the thresholds, for several faces as well.
            cascade: ask a fast model first, and this one only about what that is not sure of: `True` takes the shipped
                `resnet50-cnn`; or the folder or Hub id of another. At another operating point than the default, nothing
                is `generated` by the fast model alone.
            bounds: of a cascade, the scores of the fast model up to which a picture is real, and from which on it is
                generated; by default those that `fakeface calibrate --cascade` stored with this model.

        Raises:
            FaceFinderError: `FAKEFACE_FACE_MODEL` names a file that cannot be read or is another one.
            ModelFolderError: the folder is missing, incomplete, broken or of another kind; the message has the cure.
            OptionError: there is no such device, type or operating point, the model was not calibrated for it, `crops`,
                `consistency` or `max_faces` are out of range, `fast` was asked for together with a model or a cascade,
                or a cascade has no bounds.
        """
        refuse_contradictions(model, fast, cascade)
        if bounds and not cascade:
            raise OptionError("bounds are those of a cascade; ask for one, or leave them out")
        name = os.fspath(default_model(fast) if model is None else model)
        views: dict[str, Any] = {"crops": crops, "consistency": consistency, "max_faces": max_faces}
        exported = onnx_file(name)
        if exported and (dtype not in (None, "auto") or (device and str(device) != "cpu")):
            raise OptionError(f"{exported}: an ONNX file computes on the CPU, in the type it was exported with")
        where = pick_device(device)
        fastest = dtype == "auto"
        kind = fastest_dtype(where) if fastest else pick_dtype(dtype)
        finder = _finder(faces)
        loaded: FakeFaceForImageClassification | OnnxModel
        if exported:
            loaded = OnnxModel(exported)
            processor = loaded.processor
        else:
            loaded, processor = load_model_folder(name, revision=revision, dtype=torch.float32 if fastest else kind)
            multiply_out(loaded)
            if fastest:
                prepare(loaded, kind)
            loaded.to(where)  # pyright: ignore[reportArgumentType]  # transformers' decorator hides its signature
        config = cast(FakeFaceConfig, loaded.config)
        set_point(config, operating_point, name)
        if cascade:
            before = os.fspath(fast_model() if cascade is True else cascade)
            first = cls.from_pretrained(before, device=device, dtype=dtype, faces=finder or False, **views)
            if bounds is None:
                found = stored_bounds(config.cascade, fingerprint(before, first.config), name)
                sure = found if operating_point == DEFAULT else replace(found, generated_from=NEVER.generated_from)
            else:
                sure = Bounds(*bounds)
            views |= {"first": first, "bounds": sure}
        return cls(loaded, processor, name=name, finder=finder, channels_last=fastest and not exported, **views)

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
            pictures: whatever `open_picture` takes, or a row of a dataset whose decoded column `image` holds it; or a
                list, a tuple or a column of a dataset of them.
            batch_size: how many faces, of one picture or several, go through the model at once.

        Returns:
            One `Result`, or a list of them in the same order, in which a refused picture has an `error`.

        Raises:
            PictureError: the one picture is refused. Pictures in a list never raise.
            ModelFolderError: the model's weights are broken and give no number.
        """
        pictures = picture_of(pictures)
        if isinstance(pictures, Sequence) and not isinstance(pictures, _SINGLE):
            return list(self.stream(pictures, batch_size=batch_size))
        name = name_of(pictures, 1)
        return next(self.judge([self.preparer.open(name, open_picture(pictures, name=name))], batch_size))

    def stream(self, pictures: Iterable[Any], *, batch_size: int = 16) -> Iterator[Result]:
        """Judge any number of pictures, one `Result` each, in order.

        Faces of several pictures share a batch. Memory holds one picture and one batch of crops, never more.

        Raises:
            ModelFolderError: as in a call.
            OptionError: `batch_size` is below 1, or one picture is given in the place of several.
        """
        if isinstance(pictures, (*_SINGLE, os.PathLike, Mapping, Image.Image)):
            raise OptionError(
                f"stream takes several pictures, not one of type {type(pictures).__name__}; use [picture]"
            )
        opened = (
            self.preparer.try_open(name_of(picture, number), picture_of(picture))
            for number, picture in enumerate(pictures, start=1)
        )
        return self.judge(opened, batch_size)

    def explain(
        self,
        picture: Any,
        *,
        label: str | None = "generated",
        method: str | None = None,
        layer: str | None = None,
        face: int | None = None,
    ) -> Explanation:
        """Judge one picture and map which parts of a face spoke for a label; of an animation in the frame that decides.

        Args:
            picture: whatever `open_picture` takes.
            label: `"real"` or `"generated"`; `None` for what the face looks like: `"real"` where its verdict is, else
                `"generated"`.
            method: one of `fakeface.explain.METHODS`, by default `"centred-cam"`.
            layer: one of `fakeface.explain.layer_names(model)`, by default the trunk's last.
            face: place of the face in `Result.faces`, from 0; by default the one that decided.

        Raises:
            PictureError: the picture is refused, or has no face.
            OptionError: there is no such label, method, layer or face.
        """
        picture = picture_of(picture)
        if isinstance(self.model, OnnxModel):
            raise OptionError(f"{self._name}: maps take gradients, which ONNX files do not have; use the model folder")
        name = name_of(picture, 1)
        opened = open_picture(picture, name=name)
        if len(opened.frames) > 1:
            case, inputs = self._own.open(name, opened)
            result = next(self._judge_all([(case, inputs)]))
            frame = Opened((opened.frames[self._judge.deciding_frame(case.judged_frames())],))
            explained = self._explain(name, frame, label, method, layer, face)
            return replace(explained, result=result)
        return self._explain(name, opened, label, method, layer, face)

    def _explain(
        self, name: str, opened: Opened, label: str | None, method: str | None, layer: str | None, face: int | None
    ) -> Explanation:
        """Of one frame, of a model that is not an ONNX file."""
        assert not isinstance(self.model, OnnxModel)
        (loaded,) = opened.frames
        case, inputs = self._own.open(name, opened)
        if case.faces == []:
            raise PictureError(name, "no-face", f"{NO_FACE_FOUND}, so there is nothing to explain; crop it to the face")
        subjects = 1 if case.faces is None else len(case.faces)
        if face is not None and not 0 <= face < subjects:
            raise OptionError(f"face is {face}: the picture has {len(case.faces or ())}, counted from 0")
        # The one pass that is explained also gives the score and, of the trunk, the distance.
        if subjects * case.views == 1 and (
            self.config.familiar_distance is None or layer_used(self.model, layer) == "trunk"
        ):
            chosen, crop = 0, next(iter(inputs))
            seen = Seen(self.model, self._pixel_values([crop]), layer)
            self._give([case], seen.logits, seen.distance)
            result = self._judge.result(case)
        else:
            crops: list[np.ndarray] = []
            result = next(self._judge_all([(case, _keeping_every(case.views, inputs, crops))]))
            chosen = self._judge.deciding(case, result.faces) if face is None and case.faces else face or 0
            crop = crops[chosen]
            seen = Seen(self.model, self._pixel_values([crop]), layer)
        judged = result.faces[chosen] if case.faces else result
        label = label or ("real" if judged.verdict == "real" else "generated")
        map = maps_of(seen.evidence(label, method), self.config.image_size)[0].cpu().numpy()
        return Explanation(
            result,
            loaded,
            label,
            method_used(self.model, method),
            layer_used(self.model, layer),
            self._placed(map, loaded.size, case.faces[chosen] if case.faces else None),
            Image.fromarray(crop),
            map,
            None if case.faces is None else chosen,
        )

    def _placed(self, map: np.ndarray, size: tuple[int, int], face: Face | None) -> np.ndarray:
        """The map of what the model saw of a face, or of the centre, put onto a picture of that size."""
        if face is None:
            return place(map, size, self.processor.crop_box(*size))
        if square := self.preparer.square_of(face):
            return place_square(map, size, square)
        box = face_square(face, self.config.face_margin * self.processor.crop_fraction)
        return place(np.rot90(map, -face.turns), size, box)

    def judge(self, cases: Iterable[tuple[Case, Iterable[np.ndarray]]], batch_size: int = 16) -> Iterator[Result]:
        """Results of pictures that `preparer` prepared, in order; what `stream` does behind the decoder.

        No more than a batch of pictures waits (on a GPU two), even where few of them have faces; in a cascade, no more
        than `cascade.MOST_WAITING` batches.

        Raises:
            ModelFolderError, OptionError: as in `stream`.
        """
        if self.first is None:
            return self._judge_all(cases, batch_size)
        return judge_in_turn(self.first.judge, self._judge_all, self.bounds, cases, batch_size)

    def _judge_all(self, cases: Iterable[tuple[Case, Iterable[np.ndarray]]], batch_size: int = 16) -> Iterator[Result]:
        """Results of this detector's own model."""
        if batch_size < 1:
            raise OptionError(f"batch_size is {batch_size}: it takes a number from 1")
        waiting: deque[Case] = deque()
        batch: list[tuple[Case, np.ndarray]] = []
        flying: deque[tuple[list[Case], torch.Tensor, torch.Tensor | None]] = deque()

        def run(ahead: int = self._ahead) -> None:
            if batch:
                flying.append(([case for case, _ in batch], *self._answers([array for _, array in batch])))
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
                yield self._judge.result(waiting.popleft())
        run(ahead=0)
        yield from map(self._judge.result, waiting)

    @torch.inference_mode()
    def _answers(self, inputs: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Logits (n, 2), and where the model measures them distances (n,).

        On a GPU they are still being computed when this returns, and waited for when they are read.
        """
        output = self.model(self._pixel_values(inputs))
        return output.logits, output.distance

    def scores(self, inputs: list[np.ndarray]) -> np.ndarray:
        """Calibrated probabilities of `generated`, (n,), of inputs that `preparer` made: uint8 (size, size, 3) each."""
        logits, _ = self._answers(inputs)
        return logits.double().softmax(dim=1)[:, 1].cpu().numpy()

    def _give(self, cases: list[Case], logits: torch.Tensor, distances: torch.Tensor | None = None) -> None:
        """Give each case its logits, of (n, 2), and its distances, of (n,)."""
        if not torch.isfinite(logits).all():
            raise ModelFolderError(
                f"{self._name}: its weights give no number as score; fetch it again, or use another model folder"
            )
        for case, pair in zip(cases, logits.tolist(), strict=True):
            case.logits.append(pair)
        if distances is not None:
            for case, distance in zip(cases, distances.tolist(), strict=True):
                case.distances.append(distance)

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


def _keeping_every(step: int, inputs: Iterable[np.ndarray], kept: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The inputs, an even share of which, beginning with the first, also goes into `kept`."""
    for number, array in enumerate(inputs):
        if number % step == 0:
            kept.append(array)
        yield array


def _finder(faces: bool | FaceFinder) -> FaceFinder | None:
    if isinstance(faces, FaceFinder):
        return faces
    return FaceFinder.from_pretrained() if faces else None


__all__ = ["Detector", "FaceResult", "ModelFolderError", "Result", "default_model"]
