"""What a detector says: of a face, and of a picture."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class FaceResult:
    """What the detector says of one face.

    Attributes:
        box: left, top, right, bottom in pixels of the upright picture.
        score: calibrated probability of `generated`, 0 to 1.
        verdict: `"real"`, `"generated"` or `"uncertain"`.
        reasons: why the verdict is `uncertain`, in plain words.
    """

    box: tuple[float, float, float, float]
    score: float
    verdict: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What the detector says of one picture.

    Of several faces the most generated one decides: the highest score among the faces that are large enough, or
    among all where none is. So one generated face makes a picture `generated`, and with every further face a wrong
    `generated` is likelier; `faces` has each face's own verdict.

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
        """The fields as JSON types."""
        faces = [{**asdict(face), "box": list(face.box), "reasons": list(face.reasons)} for face in self.faces]
        return {**asdict(self), "reasons": list(self.reasons), "faces": faces}


__all__ = ["FaceResult", "Result"]
