"""Scores already computed, so that a run that was stopped goes on, and ranks tell each other theirs."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Key(NamedTuple):
    """What a score belongs to: a picture's file and what was done to it."""

    sha256: str
    view: str


class ScoreCache:
    """Scores of one detector, in memory and, if there is a folder, also in text files there, one for each rank.

    A line holds a score, the picture's sha256 and the view, set apart by tabs, and is written as soon as it is known.
    What is no such line, as a run leaves that was killed in the middle of one, counts as not there.

    Args:
        folder: of the files; `None` for memory alone.
        digest: of the detector: scores of another one are left alone.
        rank: of this process.
    """

    def __init__(self, folder: Path | None = None, digest: str = "", rank: int = 0) -> None:
        self._folder, self._digest = folder, digest[:32]
        self._file = folder / f"{self._digest}-{rank}.tsv" if folder else None
        self._known: dict[Key, float] = {}
        self._begun = False
        self.load()

    def load(self) -> None:
        """Read what all ranks have written."""
        for path in sorted(self._folder.glob(f"{self._digest}-*.tsv")) if self._folder else []:
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                score, *key = line.split("\t")
                if len(key) == 2 and len(key[0]) == 64 and _is_score(score):
                    self._known[Key(*key)] = float(score)

    def add(self, keys: Sequence[Key], scores: Sequence[float]) -> None:
        """Keep scores, in the file as well."""
        self._known.update(zip(keys, scores, strict=True))
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write("" if self._begun else "\n")  # ends a line that a killed run left half written
                file.writelines(
                    f"{score!r}\t{key.sha256}\t{key.view}\n" for key, score in zip(keys, scores, strict=True)
                )
            self._begun = True

    def __contains__(self, key: Key) -> bool:
        return key in self._known

    def __getitem__(self, key: Key) -> float:
        return self._known[key]


def _is_score(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
