"""From pictures to scores and verdicts; what the CLI and the Space call.

>>> from fakeface import Detector, list_pictures
>>> detector = Detector.from_pretrained()                           # doctest: +SKIP
>>> detector("portrait.jpg")                                        # doctest: +SKIP
Result(picture='portrait.jpg', score=0.973, verdict='generated', reasons=(...), error=None)
>>> for result in detector.stream(list_pictures(["album"])):        # doctest: +SKIP
...     print(result.verdict, result.picture)
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, cast, overload

import torch

from .configuration_fakeface import FakeFaceConfig
from .explain import Explanation, cam, method_used, place
from .image_processing_fakeface import FakeFaceImageProcessor
from .images import PictureError, load_picture
from .model_folder import ModelFolderError, default_model, load_model_folder
from .modeling_fakeface import FakeFaceForImageClassification

# Below this shorter side, in pixels, more of the model's input is made up by enlarging than was in the picture.
SMALLEST_SIDE = 64

CENTRE_JUDGED = "the centre square of the picture was judged: faces are not searched for yet"
NOT_CALIBRATED = "the model is not calibrated: read the score as a rank, not as a probability"


@dataclass(frozen=True)
class Result:
    """What the detector says of one picture.

    Attributes:
        picture: its name: the path or address as given, or `"picture 3"` (counted from 1) where it has none.
        score: calibrated probability of `generated`, 0 to 1; `None` where the picture was refused.
        verdict: `"real"`, `"generated"` or `"uncertain"`; `None` where the picture was refused.
        reasons: remarks in plain words: what was judged, and why the verdict is `uncertain`.
        error: why the picture was refused, with its name and the cure; `None` where it was not.
    """

    picture: str
    score: float | None
    verdict: str | None
    reasons: tuple[str, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON types."""
        return {**asdict(self), "reasons": list(self.reasons)}


def verdict(score: float, config: FakeFaceConfig) -> str:
    """Read the verdict off a score (0 to 1) at the thresholds stored with the model; a score on one is beyond it."""
    if score >= config.threshold_generated:
        return "generated"
    return "real" if score <= config.threshold_real else "uncertain"


class Detector:
    """Tells real from generated pictures with one model.

    Attributes:
        model: in evaluation mode, on the device that the detector uses.
        processor: the image processor that belongs to it.
    """

    def __init__(
        self, model: FakeFaceForImageClassification, processor: FakeFaceImageProcessor, *, name: str = "the model"
    ):
        self.model = model.eval()
        self.processor = processor
        self._name = name

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> "Detector":
        """Load a model folder. Its own code files never run: the classes are those of the installed package.

        Args:
            model: a folder or a Hub id; by default what `default_model` finds.
            revision: branch, tag or commit of a Hub repository.
            device: where to compute, such as `"cpu"` or `"cuda:1"`; by default the GPU if there is one.
            dtype: of the weights, such as `"bfloat16"`; by default float32. BatchNorm stays float32.

        Raises:
            ModelFolderError: the folder is missing, incomplete, broken or of another kind; the message has the cure.
            ValueError: there is no such device or type.
        """
        name = os.fspath(default_model() if model is None else model)
        where, kind = pick_device(device), _dtype(dtype)
        loaded, processor = load_model_folder(name, revision=revision, dtype=kind)
        loaded.to(where)  # pyright: ignore[reportArgumentType]  # transformers' decorator hides its signature
        return cls(loaded, processor, name=name)

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
            batch_size: how many pictures of a list go through the model at once.

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
        return self._result(name, picture.size, self._scores([self.processor.to_array(picture)])[0])

    def stream(self, pictures: Iterable[Any], *, batch_size: int = 16) -> Iterator[Result]:
        """Judge any number of pictures, one `Result` each, in order; memory holds one batch and never more.

        Raises:
            ModelFolderError: as in a call.
            ValueError: `batch_size` is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}: it takes a number from 1")
        numbered = enumerate(pictures, start=1)
        while batch := list(islice(numbered, batch_size)):
            yield from self._judge([(_name(picture, number), picture) for number, picture in batch])

    def explain(self, picture: Any, *, label: str = "generated", method: str = "grad-cam") -> Explanation:
        """Judge one picture and map which parts of it spoke for a label.

        Args:
            picture: whatever `load_picture` takes.
            label: `"real"` or `"generated"`.
            method: one of `fakeface.explain.METHODS`.

        Raises:
            PictureError: the picture is refused.
            ValueError: there is no such label or method.
        """
        name = _name(picture, 1)
        loaded = load_picture(picture, name=name)
        pixel_values = torch.from_numpy(self.processor.to_array(loaded))[None].to(self.model.device)
        scores, maps = cam(self.model, pixel_values, label=label, method=method)
        return Explanation(
            result=self._result(name, loaded.size, self._checked(scores)[0]),
            picture=loaded,
            label=label,
            method=method_used(self.model, method),
            map=place(maps[0], loaded.size, self.processor.crop_box(*loaded.size)),
        )

    def _judge(self, batch: list[tuple[str, Any]]) -> Iterator[Result]:
        """Results of some named pictures. Each is decoded, cut to the model's input and dropped before the next."""
        arrays, sizes, refusals = [], [], {}
        for place_in_batch, (name, picture) in enumerate(batch):
            try:
                loaded = load_picture(picture, name=name)
            except PictureError as error:
                refusals[place_in_batch] = str(error)
            else:
                arrays.append(self.processor.to_array(loaded))
                sizes.append(loaded.size)
        judged = zip(sizes, self._scores(arrays) if arrays else [], strict=True)
        for place_in_batch, (name, _) in enumerate(batch):
            if place_in_batch in refusals:
                yield Result(name, None, None, error=refusals[place_in_batch])
            else:
                yield self._result(name, *next(judged))

    @torch.inference_mode()
    def _scores(self, arrays: list[Any]) -> list[float]:
        """Scores of arrays (3, size, size) from the processor."""
        pixel_values = torch.stack([torch.from_numpy(array) for array in arrays]).to(self.model.device)
        return self._checked(self.model(pixel_values).logits.softmax(dim=1)[:, 1])

    def _checked(self, scores: torch.Tensor) -> list[float]:
        if not torch.isfinite(scores).all():
            raise ModelFolderError(
                f"{self._name}: its weights give no number as score; fetch it again, or use another model folder"
            )
        return scores.tolist()

    def _result(self, name: str, size: tuple[int, int], score: float) -> Result:
        found, reasons = verdict(score, self.config), [CENTRE_JUDGED]
        if min(size) < SMALLEST_SIDE:
            found = "uncertain"
            reasons.append(f"the picture is {size[0]} x {size[1]} pixels: under {SMALLEST_SIDE} is too small to tell")
        elif found == "uncertain":
            low, high = self.config.threshold_real, self.config.threshold_generated
            reasons.append(f"the score lies between the thresholds {low:.3g} and {high:.3g}: too close to call")
        if self.config.target_fpr is None:
            reasons.append(NOT_CALIBRATED)
        return Result(name, score, found, tuple(reasons))


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, or the best there is: CUDA, then Apple's MPS, then the CPU.

    Raises:
        ValueError: there is no such device here.
    """
    there = [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True)]
    available = [kind for kind, is_there in there if is_there]
    if device is None:
        return torch.device(available[0])
    refusal = f"no device {str(device)!r} here: use {' or '.join(available)}"
    try:
        chosen = torch.device(device)
    except RuntimeError:  # not a device's name at all
        raise ValueError(refusal) from None
    if chosen.type not in available or (chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count()):
        raise ValueError(refusal)
    return chosen


def _dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """float32 for `None`; 16 bits on the CPU would be slow or inexact, and files may store 16 bits to be small."""
    kind = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype or torch.float32
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        raise ValueError(f"dtype is {dtype!r}: it takes float32, bfloat16 or float16")
    return kind


def _name(picture: Any, number: int) -> str:
    """The path or address as given, a dataset row's path, or the picture's number."""
    if isinstance(picture, dict):
        picture = picture.get("path")
    return os.fsdecode(picture) if isinstance(picture, (str, os.PathLike)) else f"picture {number}"


__all__ = ["Detector", "ModelFolderError", "Result", "default_model", "pick_device", "verdict"]
