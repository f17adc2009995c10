"""What a dataset's bytes depend on, and what its `build.json` says: how it was made, and by what it is known again."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...model_folder.checksums import sha256_of
from ...results import LABELS
from ...utils.errors import OutputError
from ..engine.units import UNIT_ROWS
from .plan import Plan
from .recipe import BuildRecipe
from .shards import Fate

if TYPE_CHECKING:
    from ..reconstruct import Autoencoder

RECORD = "build.json"
# What has a hand in the bytes of pictures and of parquet files; and in those of reconstructions.
_PACKAGES = ("fakeface", "pillow", "numpy", "scipy", "pyarrow", "datasets", "opencv-python-headless")
_RECONSTRUCTING = ("torch", "diffusers")


@dataclass(frozen=True)
class Job:
    """Everything that the bytes of a dataset depend on.

    Attributes:
        recipe: what was asked for.
        plan: which pictures that takes.
        history: the `History` of the recipe; None keeps files as they are.
        autoencoder: what reconstructs photographs; None where none are.
    """

    recipe: BuildRecipe
    plan: Plan
    history: Any
    autoencoder: Autoencoder | None

    @property
    def face_margin(self) -> float:
        """Side of the cut square in sides of the face's box; 0 cuts nothing."""
        return self.recipe.face_margin if self.recipe.faces else 0.0

    def digest(self) -> str:
        """Of everything."""
        return _digest(self._recipe(), self.plan.digest, repr(self.history), self._autoencoder(), self._versions())

    def units_digest(self) -> str:
        """Of what the units' bytes depend on: splits and shards may change without decoding again."""
        folders = [choice.folder for choice in self.recipe.sources]
        how = (UNIT_ROWS, repr(self.history), self.recipe.seed, self.face_margin)
        return _digest(self.plan.digest, folders, how, _versions(*_PACKAGES))

    def reconstructions_digest(self) -> str:
        """Of what the bytes of reconstructions depend on."""
        return _digest(self.units_digest(), self.recipe.reconstruct_share, self._autoencoder(), self._versions())

    def record(self, counts: Counter[tuple], fate: Fate, whole: Path) -> dict[str, Any]:
        """What `build.json` says of the dataset that `write_shards` wrote to `whole`, as it counted."""
        keys = ("split", "source", "generator", "label")
        pictures = [{**dict(zip(keys, key, strict=True)), "n": n} for key, n in counts.items() if len(key) == len(keys)]
        files = sorted([*(whole / "data").iterdir(), whole / "rejects.parquet"])
        return {
            "digest": self.digest(),
            "recipe": self._recipe(),
            "history": "native" if self.history is None else dataclasses.asdict(self.history),
            "autoencoder": self._autoencoder(),
            "versions": self._versions(),
            "sources": self._sources(),
            "counts": {
                "pictures": sorted(pictures, key=lambda row: [row[key] for key in keys]),
                "groups": len(np.unique(fate.groups[fate.splits >= 0])),
                "rejected": {key[1]: n for key, n in sorted(counts.items()) if key[0] == "rejected"},
            },
            "files": {file.relative_to(whole).as_posix(): sha256_of(file) for file in files},
        }

    def _sources(self) -> dict[str, dict[str, Any]]:
        sources = {}
        for choice in self.recipe.sources:
            source, found = choice.resolve(), self.plan.found[choice.title]
            sources[choice.title] = {
                "title": source.title or choice.title,
                "homepage": source.homepage,
                "licence": source.licence,
                "conditions": source.conditions,
                "found": found.total,
                "taken": {label: self.plan.taken[choice.title, label] for label in LABELS},
                "left_out": found.others,
                "problems": len(found.problems),
            }
        return sources

    def _recipe(self) -> dict[str, Any]:
        """The recipe; of an autoencoder in a folder only the name, since paths tell about their owner."""
        recipe = self.recipe.to_dict()
        if self.autoencoder and Path(self.recipe.reconstruct).exists():
            recipe["reconstruct"] = self.autoencoder.name
        return recipe

    def _autoencoder(self) -> dict[str, str] | None:
        return self.autoencoder and {"name": self.autoencoder.name, "sha256": self.autoencoder.fingerprint}

    def _versions(self) -> dict[str, str]:
        return _versions(*_PACKAGES, *(_RECONSTRUCTING if self.autoencoder else ()))


def read_record(out: Path) -> dict[str, Any] | None:
    """The record of a finished dataset; None if there is none. Raises OutputError for a file that is none."""
    try:
        record = json.loads((out / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise OutputError(f"{out / RECORD}: not readable ({error}); name another folder") from None
    return record if isinstance(record, dict) else {}


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _versions(*names: str) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in names}
