"""What people give as a picture: rows of datasets among them; and what to call it."""

import os
from collections.abc import Mapping
from typing import Any

from ..images.load import is_content


def name_of(picture: Any, number: int) -> str:
    """The path or address as given, a dataset row's path, or the picture's number."""
    if isinstance(picture, dict):
        picture = picture.get("path")
    is_name = isinstance(picture, (str, os.PathLike)) and not is_content(picture)
    return os.fsdecode(picture) if is_name else f"picture {number}"


def picture_of(given: Any) -> Any:
    """The picture of a row of a dataset with a decoded column `image`; all else as it is."""
    if not isinstance(given, Mapping) or "image" not in given or given.keys() & {"bytes", "path"}:
        return given
    picture = given["image"]
    # Datasets are untrusted: no path in one makes us fetch an address.
    return {"bytes": None, "path": picture} if isinstance(picture, (str, os.PathLike)) else picture
