"""The weights of a model folder, in every form that `save_pretrained` writes: one file, shards, a variant of either."""

import json
import re
import shutil
from pathlib import Path

from ..utils.errors import FakefaceError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
OTHER_FORMS = (
    "model.*.safetensors",
    "model-*.safetensors",
    "model.safetensors.index*.json",
)  # patterns, beside WEIGHTS
MOST_JSON = 2**20  # bytes, of the index; a tensor takes about a hundred
_VARIANT = re.compile(r"model\.(\w+)\.safetensors|model\.safetensors\.index\.(\w+)\.json")
_NAME = re.compile(r"[\w.-]+\.safetensors")


class WeightFilesError(FakefaceError):
    """The weights of a folder cannot be told; the message says why, and is empty where there are none."""


def weight_files(folder: Path) -> tuple[list[Path], Path | None]:
    """The files with the weights, and the index that names them where they are shards.

    One file goes before shards, and both before a variant (`variant="fp16"` of `save_pretrained`).

    Raises:
        WeightFilesError: there are none, several variants, or the index cannot be read or names other files than
            shards.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS], None
    if (folder / INDEX).is_file():
        return _shards(folder / INDEX), folder / INDEX
    found = [file for pattern in OTHER_FORMS for file in folder.glob(pattern) if _VARIANT.fullmatch(file.name)]
    variants = {"".join(filter(None, match.groups())) for file in found if (match := _VARIANT.fullmatch(file.name))}
    if len(variants) > 1:
        listed = ", ".join(sorted(variants))
        raise WeightFilesError(f"has weights of the variants {listed}; keep one, and call its file {WEIGHTS}")
    if not found:
        raise WeightFilesError("")
    whole = [file for file in found if file.suffix == ".safetensors"]
    return (whole, None) if whole else (_shards(found[0]), found[0])


def _shards(index: Path) -> list[Path]:
    try:
        if index.stat().st_size > MOST_JSON:
            raise ValueError("far too large")
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        if not names or not all(_NAME.fullmatch(name) for name in names):
            raise ValueError("it names no shards of this folder")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightFilesError(f"{index.name} cannot be read ({error}); fetch the folder again") from error
    if missing := [name for name in names if not (index.parent / name).is_file()]:
        raise WeightFilesError(f"{missing[0]} is missing, which {index.name} names; fetch the folder again")
    return [index.parent / name for name in names]


def copy_weights(source: Path, target: Path) -> None:
    """Copy weights into a folder, byte for byte, under the names that open without a variant."""
    files, index = weight_files(source)
    (target / WEIGHTS).unlink(missing_ok=True)
    if index is None:
        shutil.copyfile(files[0], target / WEIGHTS)
        return
    names = {file.name: re.sub(r"^model\.\w+-(\d+-of-\d+)", r"model-\1", file.name) for file in files}
    for file in files:
        shutil.copyfile(file, target / names[file.name])
    content = json.loads(index.read_text(encoding="utf-8"))
    content["weight_map"] = {tensor: names[name] for tensor, name in content["weight_map"].items()}
    (target / INDEX).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


__all__ = ["INDEX", "OTHER_FORMS", "WEIGHTS", "WeightFilesError", "copy_weights", "weight_files"]
