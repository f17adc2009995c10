"""From the logits of a picture's faces to its result: calibrated scores, the verdict, and the reasons for it."""

from dataclasses import replace

import torch

from ..configuration_fakeface import FakeFaceConfig
from ..results import FaceResult, Result, group_threshold, verdict
from .doubts import UNFAMILIAR
from .preparation import Case, Preparer

NO_FACE = "no face"
NO_FACE_FOUND = "no face was found in the picture"
CENTRE_JUDGED = "the centre square of the picture was judged: faces were not searched for"
TOO_SMALL = "too small to tell"  # ends the reason of a verdict left open for the size
NOT_CALIBRATED = "the model is not calibrated: read the score as a rank, not as a probability"
LARGEST_SPREAD = 0.25  # of scores between re-encodings: above it the verdict stays open even where all agree on it


class Judge:
    """Judges pictures by the thresholds of one model.

    Args:
        config: the model's.
        preparer: made the inputs that the model saw.
    """

    def __init__(self, config: FakeFaceConfig, preparer: Preparer):
        self._config, self._preparer = config, preparer

    def scores(self, case: Case) -> list[list[float]]:
        """Of each face, or of the centre: its score, and those of its re-encodings; of crops the mean logit counts."""
        shape = (case.inputs // case.views, 1 + self._preparer.consistency, self._preparer.crops, 2)
        return torch.tensor(case.logits).reshape(shape).mean(dim=2).softmax(dim=2)[:, :, 1].tolist()

    def result(self, case: Case) -> Result:
        """Of a picture whose inputs all have their logits, or that was refused."""
        if case.error is not None:
            return Result(case.name, None, None, error=str(case.error))
        frames = case.judged_frames()
        among = sum(sum(self._large(frame)) for frame in frames)
        result = self._frame_result(frames[self.deciding_frame(frames)], case.doubts, among)
        uncalibrated = (NOT_CALIBRATED,) if self._config.target_fpr is None and result.score is not None else ()
        reasons = (*case.remarks, *case.doubts, *result.reasons, *uncalibrated)
        return replace(result, reasons=tuple(dict.fromkeys(reasons)))

    def _frame_result(self, case: Case, doubts: tuple[str, ...], among: int) -> Result:
        """The result of the frame that decides, or of a still picture.

        Args:
            case: the frame.
            doubts: those of its picture.
            among: how many faces, or centres, of all frames are large enough.
        """
        if case.faces == []:
            return Result(case.name, None, NO_FACE, (NO_FACE_FOUND,))
        smallest, scores, large = self._config.smallest_face, self.scores(case), self._large(case)
        own_doubts = self._own_doubts(case)
        if case.faces is None:
            limit, (width, height) = self._preparer.smallest_picture(smallest), case.size
            small = f"the picture is {width} x {height} pixels: under {limit} is {TOO_SMALL}"
            judged = self._judge(scores[0], None if large[0] else small, (*doubts, *own_doubts[0]))
            decided, grouped = self._among(judged, among)
            return Result(case.name, judged.score, decided, (CENTRE_JUDGED, *grouped, *judged.reasons))
        small = f"the face is {{:.0f}} pixels long: under {{}} is {TOO_SMALL}"
        faces = tuple(
            replace(
                self._judge(
                    own, None if enough else small.format(int(face.side), smallest), (*doubts, *doubts_of_face)
                ),
                box=face.box,
                square=square.corners if (square := self._preparer.square_of(face)) else None,
            )
            for face, own, enough, doubts_of_face in zip(case.faces, scores, large, own_doubts, strict=True)
        )
        judged = faces[self.deciding(case, faces)]
        many = (f"{len(faces)} faces were judged, and the most generated one decides",) if len(faces) > 1 else ()
        left = f"the picture has {case.found} faces: the {len(faces)} largest were judged"
        cut = (left,) if case.found > len(faces) else ()
        decided, grouped = self._among(judged, among)
        return Result(case.name, judged.score, decided, (*cut, *many, *grouped, *judged.reasons), faces=faces)

    def _own_doubts(self, case: Case) -> list[tuple[str, ...]]:
        """Why a verdict `real` on each face, or on the centre, would not hold."""
        told = case.face_doubts or [()] * case.subjects
        limit = self._config.familiar_distance
        if limit is None or not case.distances:
            return told
        distances = case.distances[:: case.views]  # that of a face itself, not of its other views
        return [(*of, UNFAMILIAR) if far > limit else of for of, far in zip(told, distances, strict=True)]

    def _large(self, case: Case) -> list[bool]:
        """Whether each face, or the centre, is large enough to tell."""
        smallest = self._config.smallest_face
        if case.faces is None:
            return [min(case.size) >= self._preparer.smallest_picture(smallest)]
        return [face.side >= smallest for face in case.faces]

    def deciding_frame(self, frames: list[Case]) -> int:
        """Place of the frame with the face that decides, by the rule that `Result` states for faces."""

        def rank(frame: Case) -> tuple[bool, float]:
            return max(
                zip(self._large(frame), (own[0] for own in self.scores(frame)), strict=True), default=(False, -1.0)
            )

        return max(range(len(frames)), key=lambda place: rank(frames[place])) if len(frames) > 1 else 0

    def _among(self, judged: FaceResult, count: int) -> tuple[str, tuple[str, ...]]:
        """The verdict on a picture by the face that decides among so many large enough ones, and what was done."""
        if count < 2 or not self._config.group_thresholds or judged.verdict != "generated":
            return judged.verdict, ()
        limit = group_threshold(count, self._config)
        told = f"the most generated of {count} faces makes a picture generated from a score of {limit:.6g}"
        one = f"{self._config.threshold_generated:.6g} for one face alone"
        if judged.score >= limit:
            return "generated", (f"{told}, which it reaches ({one})",)
        return "uncertain", (f"{told}, which it does not reach ({one}): one of many real faces may score as high",)

    def _judge(self, scores: list[float], too_small: str | None, doubts: tuple[str, ...]) -> FaceResult:
        """The verdict on one square, its box not yet set.

        Args:
            scores: its own, and those of its re-encodings.
            too_small: the reason to leave it open for its size.
            doubts: why `real` would not hold.
        """
        box, score = (0.0, 0.0, 0.0, 0.0), scores[0]
        if too_small:
            return FaceResult(box, score, "uncertain", (too_small,))
        found = verdict(score, self._config)
        if found == "uncertain":
            low, high = self._config.threshold_real, self._config.threshold_generated
            reason = f"the score lies between the thresholds {low:.3g} and {high:.3g}: too close to call"
            return FaceResult(box, score, found, (reason,))
        low, high = min(scores), max(scores)
        if high - low > LARGEST_SPREAD or any(verdict(other, self._config) != found for other in scores):
            reason = f"re-encoded it scores from {low:.3f} to {high:.3f}: {found} does not hold"
            return FaceResult(box, score, "uncertain", (reason,))
        if found == "real" and doubts:
            return FaceResult(box, score, "uncertain", doubts)
        return FaceResult(box, score, found)

    def deciding(self, case: Case, faces: tuple[FaceResult, ...]) -> int:
        """Place of the face that decides, by the rule that `Result` states."""
        large = self._large(case)
        return max(range(len(faces)), key=lambda place: (large[place], faces[place].score))


__all__ = ["NO_FACE_FOUND", "TOO_SMALL", "Judge"]
