"""How publishers' files are read: a tree of folders and archives as one list of pictures, without unpacking anything.

`walk` lists a folder. Archives and tables in it count as folders: `wiki.zip` with the member `wiki/00/1.jpg` gives the
path `wiki.zip/wiki/00/1.jpg`. `Reader` hands out the bytes of one picture of the list, within limits. Nothing is ever
written, so no member name can escape; a link that leads out of the folder is refused when it is read.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ...images.load import Limits, PictureError, is_picture_file
from .reference import Container, LayoutError, Reference, limited

# What browsers and download tools call a file that is still on its way.
PARTIAL_SUFFIXES = (".part", ".partial", ".crdownload", ".download", ".aria2", ".incomplete", ".opdownload")
# Archives that are read from the start to reach a member: one process must take all of it, in order.
SEQUENTIAL_SUFFIXES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_OPEN_CONTAINERS = 4  # per process; the table of contents of a zip of 100,000 members takes about 50 MB


def container_class(path: Path) -> type[Container] | None:
    """The class that reads this file or folder; None if it is neither archive nor table."""
    from . import archives, records, tables

    name = path.name.lower()
    if name.endswith(".zip"):
        return archives.Zip
    if name.endswith((".tar", *SEQUENTIAL_SUFFIXES)):
        return archives.Tar
    if name.endswith(".parquet"):
        return tables.Parquet
    if name.endswith((".tfrecord", ".tfrecords")):
        return records.TFRecord
    return records.Lmdb if os.path.isfile(path / "data.mdb") else None


def walk(root: Path, problems: list[str], stated: Sequence[str] | None = ()) -> Iterator[Reference]:
    """List every picture under a folder, archives included, always in the same order.

    Args:
        root: the folder.
        problems: gets a line for each folder or archive that cannot be read, and each download that is not finished.
        stated: what labels in tables mean that are numbers without names; see `fakeface.utils.label_names`. `None`
            leaves labels alone.
    """

    def unreadable(error: OSError) -> None:
        problems.append(f"{error.filename}: cannot be listed ({error.strerror}); check its mode and owner")

    for folder, subfolders, files in os.walk(root, onerror=unreadable):
        here = Path(folder)
        subfolders[:] = sorted(name for name in subfolders if not is_hidden(name))
        for name in [name for name in subfolders if os.path.isfile(here / name / "data.mdb")]:
            subfolders.remove(name)
            yield from _inside(here / name, root, problems, stated)
        for name in sorted(files):
            path = here / name
            if name.lower().endswith(PARTIAL_SUFFIXES):
                problems.append(f"{path}: is half downloaded; let the download end, or start it again")
            elif is_hidden(name):
                continue
            elif path.suffix[1:].isdigit() and Path(path.stem).suffix.lower() == ".zip":
                if path.suffix[1:].lstrip("0") == "1":  # one line for all parts
                    problems.append(f"{path}: a part of an archive; join the parts: cat {path.stem}.* > {path.stem}")
            elif container_class(path):
                yield from _inside(path, root, problems, stated)
            elif is_picture_file(path):
                yield Reference("", path.relative_to(root).as_posix(), size=_size(path))


def _inside(path: Path, root: Path, problems: list[str], stated: Sequence[str] | None) -> Iterator[Reference]:
    from .tables import Parquet

    kind = container_class(path)
    assert kind is not None
    try:
        container = Parquet(path, stated) if kind is Parquet else kind(path)  # no other tells labels
        try:
            for reference in container.references(path.relative_to(root).as_posix()):
                if not any(is_hidden(part) for part in reference.member.split("/")):
                    yield reference
        finally:
            container.close()
    except LayoutError as error:
        problems.append(str(error))


def is_hidden(name: str) -> bool:
    """Whether a part of a path is not a picture's: hidden, or a way out."""
    # macOS puts `__MACOSX/._a.jpg` beside `a.jpg` into its archives; `..` in an archive is nobody's picture.
    return name.startswith(".") or name == "__MACOSX"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a dangling link, or no permission; reading it gives the reason
        return 0


class Reader:
    """Reads pictures of a list that `walk` made. Keeps the last few archives open; use it in one process only."""

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        self.root = root
        self.limits = limits or Limits()
        self._real_root = os.path.realpath(root)
        self._open: OrderedDict[str, Container] = OrderedDict()

    def read(self, reference: Reference) -> bytes | np.ndarray:
        """The picture's file, or its pixels where the container holds no files. Raises PictureError."""
        if not reference.container:
            return self._file(reference.member)
        try:
            return self._container(reference.container).read(reference, self.limits)
        except LayoutError as error:
            raise PictureError(reference.path, "unreadable", str(error)) from None

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _container(self, name: str) -> Container:
        if name not in self._open:
            path = self.root / name
            kind = container_class(path)
            if kind is None or not self._is_inside(path):
                raise LayoutError(f"{path}: is gone, or leads out of {self.root}; put it back")
            self._open[name] = kind(path)
            if len(self._open) > _OPEN_CONTAINERS:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(name)
        return self._open[name]

    def _is_inside(self, path: Path) -> bool:
        return os.path.realpath(path).startswith(self._real_root.rstrip(os.sep) + os.sep)

    def _file(self, member: str) -> bytes:
        path = self.root / member
        if not self._is_inside(path):
            raise PictureError(member, "unreadable", f"a link that leads out of {self.root}; copy the picture itself")
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for ever
                raise PictureError(member, "not-a-file", "not an ordinary file; give a picture file")
            with open(path, "rb") as file:
                return limited(file.read(self.limits.max_bytes + 1), member, self.limits)
        except FileNotFoundError:
            gone = "a link to nothing; put back what it leads to"
            problem = gone if path.is_symlink() else "no such file any more; put it back"
            raise PictureError(member, "missing", problem) from None
        except PermissionError:
            raise PictureError(member, "unreadable", "no permission to read it; check its mode and owner") from None
        except OSError as error:
            raise PictureError(member, "unreadable", f"cannot be read ({error.strerror}); copy it again") from None
