"""Pictures to try: those that come with the page, or some of a source that the operator named."""

import os
from contextlib import closing
from itertools import islice
from pathlib import Path

from PIL import Image

from ..data.sources.reader import Reader
from ..images import PictureError, load_picture
from ..images.file_parts import file_format
from ..score.inputs import HUB, Inputs
from ..utils.errors import FakefaceError
from ..utils.shipped import shipped

SHIPPED = (
    ("Portrait", "portrait.jpg"),
    ("Generated", "generated.jpg"),
    ("Generated, too", "generated-too.jpg"),
    ("Tiny copy", "tiny.jpg"),
    ("No face", "coffee.jpg"),
)
EXAMPLES = shipped("app/examples", "space/examples")
SHOWN, LOOKED_AT = 6, 2000


class SampleError(FakefaceError):
    """The pictures to try are not there; the message names the variable and the cure."""


def shipped_samples() -> tuple[tuple[str, Path], ...]:
    """A name for each of the pictures that come with the page, and its file."""
    return tuple((name, EXAMPLES / file) for name, file in SHIPPED)


def samples(source: str, folder: Path) -> tuple[tuple[str, Path], ...]:
    """Copy pictures of a source into a folder, evenly over its first `LOOKED_AT`.

    Args:
        source: a path, or the id of a Hub dataset.
        folder: an empty one.

    Returns:
        A name for each, and its file.

    Raises:
        SampleError: there are none.
    """
    given = source if os.path.exists(source) else f"{HUB}{source}"
    entries = list(islice(Inputs(folder).entries([given]), LOOKED_AT))
    found: list[tuple[str, Path]] = []
    for entry in entries[:: max(1, len(entries) // SHOWN)]:
        if entry.reason or not entry.root or len(found) == SHOWN:
            continue
        try:
            with closing(Reader(Path(entry.root))) as reader:
                content = reader.read(entry.reference)
            path = folder / f"{len(found)}.{'png' if not isinstance(content, bytes) else _suffix(content)}"
            load_picture(content, name=entry.name)
        except PictureError:
            continue
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            Image.fromarray(content).save(path)
        found.append((f"Example {len(found) + 1}", path))
    if not found:
        raise SampleError(f"FAKEFACE_EXAMPLES is {source!r}: no pictures there; name a folder or dataset with some")
    return tuple(found)


def _suffix(content: bytes) -> str:
    return file_format(content).lower()
