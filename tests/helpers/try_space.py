"""Serves the Space as `space/app.py` does; but tests can slow it down, and its pictures have addresses.

While `TRY_FOLDER` has a file `slow`, whatever is judged or fetched takes as many seconds more as it says, but for files
whose names begin with `quick`. Its other files are the pictures of `https://pictures.test/`.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fakeface.app import main, service

FOLDER = Path(os.environ["TRY_FOLDER"])
explain, judge_many = service.Service.explain, service.Service.judge_many
picture_bytes = service.picture_bytes


def wait(name: str = "") -> None:
    slow = FOLDER / "slow"
    if slow.exists() and not name.startswith("quick"):
        time.sleep(float(slow.read_text()))


def slowly(self: Any, upload: Any, *args: Any, **options: Any) -> Any:
    wait(str(upload.get("orig_name")) if isinstance(upload, dict) else "")
    return explain(self, upload, *args, **options)


def one_by_one(self: Any, uploads: Any, *args: Any, **options: Any) -> Iterator[Any]:
    for pair in judge_many(self, uploads, *args, **options):
        wait(pair[0].picture)
        yield pair


def fetched(picture: Any, **options: Any) -> bytes:
    place = "https://pictures.test/"
    if not str(picture).startswith(place):
        return picture_bytes(picture, **options)
    wait()
    return picture_bytes(FOLDER / str(picture).removeprefix(place), **options)


if __name__ == "__main__":
    service.Service.explain = slowly
    service.Service.judge_many = one_by_one
    service.picture_bytes = fetched
    main()
