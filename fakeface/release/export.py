"""A complete model folder, made from any other: everything that others need, and the sha256 of all of it."""

import importlib.metadata
import shutil
from pathlib import Path

from ..evaluation.report import REPORT
from ..model_folder.checksums import SUMS, FileSize, file_sizes, write_sums
from ..model_folder.opening import CONFIG, PROCESSOR, ModelFolderError, find_folder, load_model_folder
from ..model_folder.weights import WEIGHTS, copy_weights
from ..recipe import TRAINING_RECORD
from ..utils.files import clear_write_errors, replace_folder
from .card import write_card, write_unmeasured_card

LICENCE = "LICENSE"
FETCHED = (CONFIG, PROCESSOR, WEIGHTS, SUMS, REPORT, TRAINING_RECORD, LICENCE)
ONNX = "onnx"


def export_folder(
    model: str,
    out: str | Path,
    *,
    revision: str | None = None,
    onnx: str | Path | None = None,
    name: str | None = None,
    where: str | None = None,
) -> list[FileSize]:
    """Write a complete model folder.

    In it: weights as they are stored, config with calibration and thresholds, image processor, the installed
    package's code files, card, evaluation and training record where there are, licence, ONNX files, and `SHA256SUMS`
    of everything. The same model gives the same bytes.

    Args:
        model: a model folder, a run's `model/`, or a Hub id.
        out: folder to write; what was there is replaced once the new one is whole.
        revision: of a Hub repository.
        onnx: folder that `fakeface export onnx` wrote of this model, whose ONNX files are to come along.
        name: of the model, for its card; by default that of `out`.
        where: what readers of the card shall open; by default a placeholder.

    Raises:
        ModelFolderError: the model cannot be loaded, the ONNX files are of another, or `out` holds something else.
        CardError: the evaluation in the folder is of other weights or another calibration.
        OutputError: `out` cannot be written.
    """
    out = Path(out)
    if out.exists() and not (out / CONFIG).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ModelFolderError(f"{out}: holds something else than a model; name a new folder, or that of an old export")
    source = find_folder(model, revision, FETCHED)
    loaded, processor = load_model_folder(str(source))
    titles = {"name": name or out.resolve().name, **({"where": where} if where else {})}
    with clear_write_errors(out), replace_folder(out.resolve()) as fresh:
        loaded.save_pretrained(fresh)
        processor.save_pretrained(fresh)
        copy_weights(source, fresh)  # 16 bits stay 16 bits
        for optional in (REPORT, TRAINING_RECORD, LICENCE):
            if (source / optional).is_file():
                shutil.copyfile(source / optional, fresh / optional)
        if not (fresh / LICENCE).is_file():
            (fresh / LICENCE).write_text(_licence(), encoding="utf-8")
        if onnx is not None:
            _copy_onnx(Path(onnx), fresh)
        (write_card if (fresh / REPORT).is_file() else write_unmeasured_card)(fresh, **titles)
        write_sums(fresh)
        for file in fresh.rglob("*"):  # safetensors and copies may have the rights of the owner alone
            file.chmod(0o755 if file.is_dir() else 0o644)
    return file_sizes(out)


def _licence() -> str:
    """The text of the Apache License, as it comes with the package."""
    beside = Path(__file__).parents[2] / LICENCE  # in a source checkout
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    try:
        text = importlib.metadata.distribution("fakeface").read_text(f"licenses/{LICENCE}")
    except importlib.metadata.PackageNotFoundError:
        text = None
    if text is None:
        raise ModelFolderError(f"{LICENCE} is missing: install fakeface again, or put one into the model folder")
    return text


def _copy_onnx(exported: Path, fresh: Path) -> None:
    """Take the ONNX files of an export over, if they are of the model in `fresh`."""
    from ..model_folder.onnx import OnnxModel

    files = sorted((exported / ONNX).glob("*.onnx"))
    if not files:
        raise ModelFolderError(f"{exported}: has no {ONNX}/*.onnx; write them with `fakeface export onnx`")
    model, processor = load_model_folder(str(fresh))
    (fresh / ONNX).mkdir()
    for file in files:
        other = OnnxModel(file)
        fields = type(model.config).__annotations__
        differing = [field for field in fields if getattr(other.config, field) != getattr(model.config, field)]
        if differing or other.processor.to_dict() != processor.to_dict():
            what = differing[0] if differing else "image processor"
            raise ModelFolderError(f"{file}: its {what} is not that of the model; export it again")
        shutil.copyfile(file, fresh / ONNX / file.name)


__all__ = ["export_folder"]
