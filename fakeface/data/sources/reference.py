"""Where one picture of a publisher's files is, and what reads the container it is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ...images.load import Limits, PictureError
from ...utils.errors import FakefaceError

UNTOLD = -1  # the label of a picture whose container does not tell it


class LayoutError(FakefaceError):
    """A container cannot be read; the message names it and the cure."""


class Reference(NamedTuple):
    """Where one picture is.

    `at` and `size` are what its container needs to find it, and what tells that another has taken its place. `label`,
    `generator`, `source` and `family` are what tables tell.
    """

    container: str  # path of the archive or table below the root, with `/`; empty for a file of its own
    member: str  # its name in there
    at: int = 0
    size: int = 0
    label: int = UNTOLD
    generator: str = ""
    source: str = ""
    family: str = ""

    @property
    def path(self) -> str:
        """Unique below the root, and the same on every machine."""
        return f"{self.container}/{self.member}" if self.container else self.member


class Container(Protocol):
    """An archive or table. `LayoutError` from the constructor and `references` means that it is no use as a whole."""

    def __init__(self, path: Path) -> None: ...

    def references(self, container: str) -> Iterator[Reference]:
        """Its pictures, in an order that depends on its content alone."""
        ...

    def read(self, reference: Reference, limits: Limits) -> bytes | np.ndarray:
        """A picture's file, or the pixels (HxWx3 or HxW, uint8) where there is no file. Raises PictureError."""
        ...

    def close(self) -> None: ...


def limited(data: bytes, name: str, limits: Limits) -> bytes:
    """`data`, read one byte beyond the limit if there was more; raises PictureError if there was."""
    if len(data) > limits.max_bytes:
        raise PictureError(name, "too-many-bytes", f"more than {limits.max_bytes / 2**20:g} MiB; save it smaller")
    return data
