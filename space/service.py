"""What the Space does with a request, for its page and for programs alike: read what was sent, ask the detector.

Requests are a stranger's. A picture is a file that was uploaded with it, or an https address where these are allowed;
every way out of that is refused here, before a file is opened.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image
from settings import Settings

from fakeface import (
    Detector,
    Explanation,
    PictureError,
    Provenance,
    Result,
    load_picture,
    picture_bytes,
    read_provenance,
)
from fakeface.onnx_model import OnnxModel
from fakeface.preparation import Case

# Those that cost a fraction of a prediction; a gradient-free one costs a hundred, too much for a shared server.
METHODS = ("centred-cam", "grad-cam", "hires-cam", "layer-cam")  # the first is the default
LONGEST_NAME = 120
THUMBNAIL = 160  # pixels
NOTHING_ARRIVED = "no picture arrived; choose one and send it again"


class Service:
    """Judges what visitors and programs send.

    Attributes:
        detector: which it asks.
        settings: its limits.
        folders: where a request's files may lie.
    """

    def __init__(self, detector: Detector, settings: Settings, folders: Sequence[str | Path]):
        self.detector = detector
        self.settings = settings
        self.folders = [Path(folder).resolve() for folder in folders]

    def read(self, upload: dict[str, Any] | None) -> tuple[str, bytes]:
        """Name and bytes of the picture that a request brought: Gradio's `FileData` as a dict.

        Raises:
            PictureError: it brought none, or one that cannot be read.
        """
        upload = upload or {}
        address = upload.get("path")
        if isinstance(address, str) and address.startswith(("http://", "https://")):
            if not self.settings.addresses:
                raise PictureError("picture", "refused-address", "this server fetches no addresses; send the file")
            return address[:LONGEST_NAME], picture_bytes(address, limits=self.settings.limits)
        path = self._uploaded(address)
        name = upload.get("orig_name") or (path.name if path else "picture")
        if path is None:
            raise PictureError(name, "missing", NOTHING_ARRIVED)
        name = name[-LONGEST_NAME:]
        return name, picture_bytes(path, name=name, limits=self.settings.limits)

    def _uploaded(self, path: object) -> Path | None:
        """The uploaded file of that path, if it is one.

        Gradio checks the path only if the request marks it as a file, which a hand-written request need not do.
        Without this check it could have any file of the server judged.
        """
        if not isinstance(path, str) or not path:
            return None
        try:
            resolved = Path(path).resolve()
        except (OSError, ValueError):  # a zero byte, a name too long
            return None
        return resolved if any(resolved.is_relative_to(folder) for folder in self.folders) else None

    def judge(self, upload: dict[str, Any] | None) -> Result:
        """The verdict on one picture; a refusal is a `Result` with an error."""
        name = "picture"
        try:
            name, data = self.read(upload)
            return replace(self.detector(self._load(name, data)), picture=name)
        except PictureError as error:
            return refusal(error.picture or name, error)

    def judge_many(self, uploads: Sequence[dict[str, Any]]) -> Iterator[tuple[Result, Image.Image | None]]:
        """A verdict on each picture, in order, with a thumbnail where it could be read. Faces share batches."""
        deadline = time.monotonic() + self.settings.max_seconds
        thumbnails: deque[Image.Image | None] = deque()

        def cases():
            for number, upload in enumerate(uploads):
                name = str(upload.get("orig_name") or f"picture {number + 1}")[-LONGEST_NAME:]
                try:
                    if number >= self.settings.max_pictures:
                        problem = f"more than {self.settings.max_pictures} pictures at once; send it with the next ones"
                        raise PictureError(name, "too-many-pictures", problem)
                    if time.monotonic() > deadline:
                        problem = f"the {self.settings.max_seconds:g} seconds of a request are over; send it again"
                        raise PictureError(name, "timeout", problem)
                    name, data = self.read(upload)
                    picture = self._load(name, data)
                    case, inputs = self.detector.preparer.open(name, picture)
                except PictureError as error:
                    thumbnails.append(None)
                    yield Case(name, error=error), iter(())
                    continue
                thumbnails.append(thumbnail(picture))
                yield case, inputs

        for result in self.detector.judge(cases()):
            yield result, thumbnails.popleft()

    def explain(
        self,
        upload: dict[str, Any] | None,
        label: str | None = None,
        method: str = METHODS[0],
        face: int | None = None,
    ) -> Result | Explanation:
        """The verdict on one picture with the map of one of its faces; without a map where there is none to make.

        Raises:
            ValueError: there is no such label, method or face.
        """
        if method not in METHODS:
            raise ValueError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
        if isinstance(self.detector.model, OnnxModel):  # it has no gradients
            return self.judge(upload)
        name = "picture"
        try:
            name, data = self.read(upload)
            picture = self._load(name, data)
            explanation = self.detector.explain(picture, label=label, method=method, face=face)
            return replace(explanation, result=replace(explanation.result, picture=name))
        except PictureError as error:
            if error.reason == "no-face":
                return Result(name, None, "no face", (error.problem,))
            return refusal(error.picture or name, error)

    def provenance(self, upload: dict[str, Any] | None) -> Provenance:
        """What the file of one picture says it has been through.

        Raises:
            PictureError: as `read` does.
        """
        name, data = self.read(upload)
        return read_provenance(data, name=name, limits=self.settings.limits)

    def _load(self, name: str, data: bytes) -> Image.Image:
        return load_picture(data, name=name, limits=self.settings.limits)


def refusal(name: str, error: PictureError) -> Result:
    """A picture that was not judged, and why."""
    return Result(picture=name, score=None, verdict=None, error=str(error))


def thumbnail(picture: Image.Image) -> Image.Image:
    small = picture.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return small
