"""Pictures for runs, made by code and without torch; and a finder that some of them kill."""

import io
import os
import signal
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from fakeface.faces import Face, FaceFinder

DEADLY = (66, 66)  # size of a picture that kills the process that looks for its faces


def jpeg(seed: int = 0, size: tuple[int, int] = (64, 64)) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def write_zip(file: Path, members: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def write_tar(file: Path, members: Mapping[str, bytes], mode: str = "w:gz") -> None:
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


class DeadlyFinder(FaceFinder):
    """The centre is the face, but of pictures of one size: those end the process as a crash in a decoder does."""

    def __init__(self) -> None:
        pass

    def __reduce__(self):
        return type(self), ()

    def __call__(self, picture: Image.Image) -> list[Face]:
        if picture.size == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        width, height = map(float, picture.size)
        upright = ((0.0, 0.0), (2.0, 0.0), (1.0, 1.0), (0.0, 2.0), (2.0, 2.0))
        return [Face((width / 4, height / 4, width * 0.75, height * 0.75), 0.9, upright)]
