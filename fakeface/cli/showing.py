"""A result on standard output, and the refusal of a picture that is not there."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..utils.text import complain, printable

if TYPE_CHECKING:
    from ..results import Result


def refusal_of_missing(picture: str | Path) -> "Result | None":
    """The refusal of a picture that is not there; none of one that is, and of an address."""
    from ..images.load import PictureError, picture_bytes
    from ..results import Result

    name = os.fspath(picture)
    if "://" in name or os.path.lexists(name):
        return None
    try:
        picture_bytes(name)
    except PictureError as error:
        return Result(name, None, None, error=str(error))
    return None


def show(result: "Result", as_json: bool = False, provenance: bool = False) -> None:
    """Print a result, as a line or as JSON, with what its file claims where asked for; a refusal goes to stderr."""
    found = None
    if provenance and result.error is None:
        from ..images.provenance import read_provenance

        found = read_provenance(result.picture)  # an address is fetched once more for it
    if as_json:
        more = {"provenance": found and found.to_dict()} if provenance else {}
        print(json.dumps({**result.to_dict(), **more}), flush=True)
    elif result.error is not None:
        complain(result.error)
    else:
        score = "  -  " if result.score is None else f"{result.score:.3f}"
        print(f"{score}  {result.verdict:<9}  {printable(result.picture)}", flush=True)
        for line in found.lines() if found else ():
            print(f"       {line.name}: {printable(line.value)}", flush=True)
