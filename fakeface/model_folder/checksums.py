"""`SHA256SUMS`: the sha256 of every file of an exported model folder, as `sha256sum --check` reads it."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SUMS = "SHA256SUMS"
MOST_BYTES = 2**20  # of the list; a line takes about ninety
_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S.*)")


@dataclass(frozen=True)
class FileSize:
    """A file by its name in a folder, with `/` between the parts; `size` in bytes."""

    name: str
    size: int


def sha256_of(*files: Path) -> str:
    """sha256 of files one behind the other, as 64 hex digits."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def listed_files(folder: Path) -> list[str]:
    """Names of all files of a folder but the list itself and hidden ones, sorted, with `/` between their parts."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)
                  and name.as_posix() != SUMS)  # fmt: skip


def file_sizes(folder: Path) -> list[FileSize]:
    """All that `listed_files` names, and the list itself, with their sizes."""
    return [FileSize(name, (folder / name).stat().st_size) for name in (*listed_files(folder), SUMS)]


def write_sums(folder: Path) -> None:
    """List every file of the folder."""
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in listed_files(folder)]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def renew_sums(folder: Path) -> None:
    """Write the list anew where there is one: after a change that was meant."""
    if (folder / SUMS).is_file():
        write_sums(folder)


def parse_sums(text: str) -> dict[str, str]:
    """The sha256 by file name. Raises ValueError."""
    sums = {}
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if not found:
            raise ValueError("a line is not a sha256 and name")
        sums[found[2]] = found[1]
    return sums


def changed_files(folder: Path, names: Iterable[str]) -> list[str] | None:
    """Those of the named files whose sha256 is not the listed one, or is not listed; `None` where there is no list.

    Raises:
        ValueError, OSError: the list cannot be read.
    """
    file = folder / SUMS
    if not file.is_file():
        return None
    if file.stat().st_size > MOST_BYTES:
        raise ValueError("far too large")
    sums = parse_sums(file.read_text(encoding="utf-8"))
    return [name for name in names if (folder / name).is_file() and sums.get(name) != sha256_of(folder / name)]


__all__ = [
    "SUMS",
    "FileSize",
    "changed_files",
    "file_sizes",
    "listed_files",
    "parse_sums",
    "renew_sums",
    "sha256_of",
    "write_sums",
]
