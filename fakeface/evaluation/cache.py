"""Scores already computed, so that a run that was stopped goes on, and ranks tell each other theirs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Key(NamedTuple):
    """What a score belongs to: a picture's file and what was done to it."""

    sha256: str
    view: str


class ScoreCache:
    """Scores of one detector, in memory and, if there is a folder, also in text files there, one for each rank.

    A line is a JSON list of the picture's sha256, the view and what the detector found: a score, or whatever else JSON
    holds, such as the scores of several networks. It is written as soon as it is known. What is no such line, as a run
    leaves that was killed in the middle of one, counts as not there.

    Args:
        folder: of the files; `None` for memory alone.
        digest: of the detector: scores of another one are left alone.
        rank: of this process.
    """

    def __init__(self, folder: Path | None = None, digest: str = "", rank: int = 0) -> None:
        self._folder, self._digest = folder, digest[:32]
        self._file = folder / f"{self._digest}-{rank}.jsonl" if folder else None
        self._known: dict[Key, Any] = {}
        self._begun = False
        self.load()

    def load(self) -> None:
        """Read what all ranks have written."""
        for path in sorted(self._folder.glob(f"{self._digest}-*.jsonl")) if self._folder else []:
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    sha256, view, found = json.loads(line)
                    self._known[Key(sha256, view)] = found
                except (ValueError, TypeError):
                    continue

    def add(self, keys: Sequence[Key], found: Sequence[Any]) -> None:
        """Keep what was found, in the file as well."""
        self._known.update(zip(keys, found, strict=True))
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write("" if self._begun else "\n")  # ends a line that a killed run left half written
                file.writelines(json.dumps([*key, one]) + "\n" for key, one in zip(keys, found, strict=True))
            self._begun = True

    def __contains__(self, key: Key) -> bool:
        return key in self._known

    def __getitem__(self, key: Key) -> Any:
        return self._known[key]
