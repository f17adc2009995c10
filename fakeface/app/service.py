"""What the Space does with a request, for its page and for programs alike: read what was sent, ask the detector.

Requests are not trusted. A picture is a file that was uploaded with it, an https address where these are allowed, or
stands in a `data:` address itself; every way out of that is refused here, before a file is opened.
"""

import time
from base64 import b64decode
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from PIL import Image

from ..detector import Detector
from ..detector.preparation import Case
from ..explain import Explanation
from ..images import Opened, PictureError, Provenance, open_picture, picture_bytes, read_provenance
from ..model_folder.onnx import OnnxModel
from ..results import Result
from ..utils.errors import OptionError
from .settings import Settings

# Those that cost a fraction of a prediction; a gradient-free one costs a hundred, too much for a shared server.
METHODS = ("centred-cam", "grad-cam", "hires-cam", "layer-cam")  # the first is the default
LONGEST_NAME = 120
LONGEST_PATH = 4096  # of Linux; to look for the parts of a picture's `data:` address would take for ever
THUMBNAIL = 160  # pixels
NOTHING_ARRIVED = "no picture arrived; choose one and send it again"
NOT_BASE64 = "not base64; send it as data:image/jpeg;base64,…"
FILE_ROUTE = "/gradio_api/file="  # of this server, in front of the path of an uploaded file
NO_FINDER = "this server has no face model, so it looked at the middle of the picture, whatever is there"

Told = TypeVar("Told", Result, Explanation)


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

    @property
    def finds_faces(self) -> bool:
        """Whether there is a face model. Without one no verdict is given: it would be on whatever is in the middle."""
        return self.detector.preparer.finder is not None

    def read(self, upload: dict[str, Any] | None, name: str = "picture") -> tuple[str, bytes]:
        """Name and bytes of the picture that a request brought: Gradio's `FileData` as a dict.

        Args:
            upload: its `path` may be an https or `data:` address as well.
            name: of a picture that brings none.

        Raises:
            PictureError: it brought none, or one that cannot be read.
        """
        upload = upload or {}
        address = upload.get("path")
        path = self._uploaded(address)
        if path is None and isinstance(address, str):
            if address.startswith("data:"):
                return name, picture_bytes(_decoded(address, name), name=name, limits=self.settings.limits)
            if address.startswith(("http://", "https://")):
                if not self.settings.addresses:
                    raise PictureError(name, "refused-address", "this server fetches no addresses; send the file")
                return address[:LONGEST_NAME], picture_bytes(address, limits=self.settings.limits)
        name = upload.get("orig_name") or (path.name if path else name)
        if path is None:
            raise PictureError(name, "missing", NOTHING_ARRIVED)
        name = name[-LONGEST_NAME:]
        return name, picture_bytes(path, name=name, limits=self.settings.limits)

    def _uploaded(self, path: object) -> Path | None:
        """The uploaded file of that path, or of that address on this server, if it is one.

        Gradio checks the path only if the request marks it as a file, which a hand-written request need not do.
        Without this check it could have any file of the server judged.
        """
        if not isinstance(path, str) or not 0 < len(path) <= LONGEST_PATH:
            return None
        if FILE_ROUTE in path:
            path = unquote(path.partition(FILE_ROUTE)[2])
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
            return self._told(replace(self.detector(self._open(name, data)), picture=name))
        except PictureError as error:
            return refusal(error.picture or name, error)

    def judge_many(
        self, uploads: Sequence[dict[str, Any]], batch_size: int = 16
    ) -> Iterator[tuple[Result, Image.Image | None]]:
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
                    name, data = self.read(upload, name)
                    opened = self._open(name, data)
                    case, inputs = self.detector.preparer.open(name, opened)
                except PictureError as error:
                    thumbnails.append(None)
                    yield Case(name, error=error), iter(())
                    continue
                thumbnails.append(thumbnail(opened.frames[0]))
                yield case, inputs

        for result in self.detector.judge(cases(), batch_size):
            yield self._told(result), thumbnails.popleft()

    def explain(
        self,
        upload: dict[str, Any] | None,
        label: str | None = None,
        method: str = METHODS[0],
        face: int | None = None,
    ) -> Result | Explanation:
        """The verdict on one picture with the map of one of its faces; without a map where there is none to make.

        Raises:
            OptionError: there is no such label, method or face.
        """
        if method not in METHODS:
            raise OptionError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
        if isinstance(self.detector.model, OnnxModel):  # it has no gradients
            return self.judge(upload)
        name = "picture"
        try:
            name, data = self.read(upload)
            opened = self._open(name, data)
            explanation = self.detector.explain(opened, label=label, method=method, face=face)
            return self._told(replace(explanation, result=replace(explanation.result, picture=name)))
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

    def _told(self, found: Told) -> Told:
        """What is told of a picture: no verdict on whatever is in its middle."""
        if isinstance(found, Explanation):
            return replace(found, result=self._told(found.result))
        if self.finds_faces or found.verdict is None:
            return found
        return replace(found, verdict="uncertain", reasons=(NO_FINDER, *found.reasons))

    def _open(self, name: str, data: bytes) -> Opened:
        return open_picture(data, name=name, limits=self.settings.limits)


def _decoded(address: str, name: str) -> bytes:
    """The picture that stands in a `data:` address."""
    head, _, text = address.partition(",")
    try:
        if not head.endswith(";base64"):
            raise ValueError
        return b64decode(text, validate=True)
    except ValueError:
        raise PictureError(name, "unreadable", NOT_BASE64) from None


def refusal(name: str, error: PictureError) -> Result:
    """A picture that was not judged, and why."""
    return Result(picture=name, score=None, verdict=None, error=str(error))


def thumbnail(picture: Image.Image) -> Image.Image:
    small = picture.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return small
