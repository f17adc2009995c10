"""What a detector says: of a face, and of a picture."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from .utils.label_names import LABELS
from .utils.text import encodable


@dataclass(frozen=True)
class FaceResult:
    """What the detector says of one face.

    Attributes:
        box: left, top, right, bottom in pixels of the upright picture.
        score: calibrated probability of `generated`, 0 to 1.
        verdict: `"real"`, `"generated"` or `"uncertain"`.
        reasons: why the verdict is `uncertain`, in plain words.
        square: corners of the square that the model saw, where the face was cut by its landmarks: upper left, upper
            right, lower right and lower left of the upright face, (x, y) in pixels of the upright picture.
    """

    box: tuple[float, float, float, float]
    score: float
    verdict: str
    reasons: tuple[str, ...] = ()
    square: tuple[tuple[float, float], ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields but `square` as JSON types."""
        told = {**asdict(self), "box": list(self.box), "reasons": list(self.reasons)}
        del told["square"]
        return told


@dataclass(frozen=True)
class Result:
    """What the detector says of one picture.

    Of several faces the most generated one decides: the highest score among the faces that are large enough, or
    among all where none is. So one generated face makes a picture `generated`, and with every further face a wrong
    `generated` would be likelier: where the model has `group_thresholds`, the more faces are judged, the higher must
    the score be that makes their picture `generated`. `faces` has each face's own verdict. Of an animation a few frames
    are judged, and their faces count as those of one picture; `faces` has those of the frame that decides.

    Attributes:
        picture: its name: the path or address as given, or `"picture 3"` (counted from 1) where it has none.
        score: calibrated probability of `generated`, 0 to 1; `None` without a face and where it was refused.
        verdict: `"real"`, `"generated"`, `"uncertain"` or `"no face"`; `None` where the picture was refused.
        reasons: remarks in plain words: what was judged, and why the verdict is `uncertain`.
        error: why the picture was refused, with its name and the cure; `None` where it was not.
        faces: the faces, the largest first; empty where none was found or none was searched for.
    """

    picture: str
    score: float | None
    verdict: str | None
    reasons: tuple[str, ...] = ()
    error: str | None = None
    faces: tuple[FaceResult, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON types. A name that is not valid UTF-8 has escapes in it, here and in `error`."""
        faces = [face.to_dict() for face in self.faces]
        told = {"picture": encodable(self.picture), "error": self.error and encodable(self.error)}
        return {**asdict(self), **told, "reasons": list(self.reasons), "faces": faces}


class Thresholds(Protocol):
    """Whatever has the two thresholds of a verdict, as `FakeFaceConfig` has."""

    @property
    def threshold_generated(self) -> float: ...
    @property
    def threshold_real(self) -> float: ...


class GroupThresholds(Thresholds, Protocol):
    """Thresholds for pictures of several faces as well, as `FakeFaceConfig` has them."""

    @property
    def group_thresholds(self) -> Mapping[str, float] | None: ...


def verdict(score: float, config: Thresholds) -> str:
    """Read the verdict off a score (0 to 1) at the thresholds stored with the model; a score on one is beyond it."""
    if score >= config.threshold_generated:
        return "generated"
    return "real" if score <= config.threshold_real else "uncertain"


def group_threshold(faces: int, config: GroupThresholds) -> float:
    """The score from which on the most generated of so many faces makes their picture `generated`.

    Between the numbers of `group_thresholds`, 1 among them, it is a line in log number and logit score, and goes on
    straight beyond the last: so the tail of scores that fall off exponentially in the logit has it.
    """
    known = {1: config.threshold_generated}
    for number, score in (config.group_thresholds or {}).items():
        known[int(number)] = max(score, config.threshold_generated)
    numbers = sorted(known)
    if faces in known or len(numbers) == 1:
        return known.get(faces, config.threshold_generated)
    above = next((place for place, number in enumerate(numbers) if number > faces), len(numbers) - 1)
    low, high = numbers[above - 1], numbers[above]
    share = math.log(faces / low) / math.log(high / low)
    logit = (1 - share) * _logit(known[low]) + share * _logit(known[high])
    return 1 / (1 + math.exp(-logit))


def _logit(score: float) -> float:
    """Kept finite at 0 and 1, at what is left of a score next to them."""
    score = min(max(score, 1e-15), 1 - 1e-15)
    return math.log(score / (1 - score))


__all__ = ["LABELS", "FaceResult", "GroupThresholds", "Result", "Thresholds", "group_threshold", "verdict"]
