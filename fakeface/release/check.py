"""Does an exported model folder work for others? Tried as they would: in a fresh process without the package."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import ModelCard, get_token
from PIL import Image

from ..model_folder.checksums import SUMS, changed_files, listed_files
from ..model_folder.opening import ModelFolderError, load_model_folder
from ..utils.errors import FakefaceError
from .card import CARD

SUFFIXES = {".json", ".md", ".py", ".safetensors", ".onnx"}
BARE = {"LICENSE", SUMS}
METADATA = {"license", "library_name", "pipeline_tag"}
CLOSE = 1e-5  # between logits of two processes; libraries may sum in another order there
PATIENCE = 300  # seconds for the fresh process
TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")

# The process has the environment's libraries, but neither fakeface nor anything of the Hub.
STRANGER = """
import json, sys

class NoFakeface:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "fakeface":
            raise ModuleNotFoundError("there is no fakeface here")

sys.meta_path.insert(0, NoFakeface())
import torch
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification, pipeline
from transformers.utils import logging

logging.set_verbosity_error()
folder, picture = sys.argv[1:]
trust = {"trust_remote_code": True}
AutoConfig.from_pretrained(folder, **trust)
AutoModel.from_pretrained(folder, **trust)
model = AutoModelForImageClassification.from_pretrained(folder, **trust).eval()
inputs = AutoImageProcessor.from_pretrained(folder, **trust)(Image.open(picture), return_tensors="pt")
with torch.no_grad():
    logits = model(**inputs).logits[0].tolist()
scores = pipeline("image-classification", model=folder, device="cpu", **trust)(picture)
print(json.dumps({"logits": logits, "scores": {each["label"]: each["score"] for each in scores}}))
"""


class FolderCheckError(FakefaceError):
    """A folder is not fit to be given away; the message names the file and the cure."""


def check_folder(folder: str | Path) -> None:
    """Look at everything in a folder that `export_folder` wrote, and open it as somebody without the package would.

    Raises:
        FolderCheckError, ModelFolderError: something is missing, broken, secret or gives other logits.
    """
    folder = Path(folder)
    for problem in (*_wrong_files(folder), *_wrong_card(folder)):
        raise FolderCheckError(problem)
    model, processor = load_model_folder(str(folder))
    picture = _probe(2 * processor.size)
    with torch.no_grad():
        expected = model.eval()(**processor(picture, return_tensors="pt")).logits[0]
    found = _open_afresh(folder, picture)
    apart = (expected - torch.tensor(found["logits"])).abs().max().item()
    if not apart <= CLOSE:  # NaN is not
        raise FolderCheckError(f"{folder}: gives logits {apart:.3g} apart without the package; export it again")
    score = expected.softmax(0)[1].item()
    if not abs(found["scores"]["generated"] - score) <= CLOSE:
        raise FolderCheckError(f"{folder}: `pipeline` gives another score than the model; export it again")


def _wrong_files(folder: Path) -> Iterator[str]:
    again = "write the folder with `fakeface export`"
    names = listed_files(folder)
    try:
        changed = changed_files(folder, names)
    except (OSError, ValueError) as error:
        yield f"{folder / SUMS}: cannot be read ({error}); {again}"
        return
    if changed is None:
        yield f"{folder}: has no {SUMS}; {again}"
    for name in changed or []:
        yield f"{folder / name}: is not what {SUMS} lists; {again}"
    token = get_token()
    for name in names:
        file = folder / name
        if file.suffix not in SUFFIXES and name not in BARE:
            yield f"{file}: no part of a model folder; {again}"
        elif file.suffix not in (".safetensors", ".onnx"):
            text = file.read_text(encoding="utf-8", errors="replace")
            if TOKEN.search(text) or (token and token in text):
                yield f"{file}: has an access token in it; take it out, and revoke it if others saw it"


def _wrong_card(folder: Path) -> Iterator[str]:
    try:
        card = ModelCard.load(folder / CARD, ignore_metadata_errors=False)
    except Exception as error:  # of the YAML parser, or of what the metadata must be
        yield f"{folder / CARD}: its metadata is not valid ({' '.join(str(error).split())[:200]})"
        return
    if missing := sorted(name for name in METADATA if not card.data.get(name)):
        yield f"{folder / CARD}: its metadata lacks {', '.join(missing)}; write it with `fakeface card`"


def _probe(side: int) -> Image.Image:
    """A smooth picture of many colours, the same everywhere."""
    noise = np.random.default_rng(0).integers(0, 256, (side // 16 + 1, side // 16 + 1, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


def _open_afresh(folder: Path, picture: Image.Image) -> dict:
    """What the fresh process says; its home is empty, it has no token, and it may not ask the Hub."""
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "probe.png"
        picture.save(file)
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "PYTHON"))}
        theirs = {"HF_HOME": home, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        command = [sys.executable, "-I", "-c", STRANGER, str(folder.resolve()), str(file)]
        try:
            done = subprocess.run(
                command, cwd=home, env={**ours, **theirs}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=PATIENCE, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise FolderCheckError(f"{folder}: did not open within {PATIENCE} s in a fresh process") from None
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["it was killed"])[-1]
        raise FolderCheckError(f"{folder}: does not open without the package ({why}); export it again")
    return json.loads(done.stdout.splitlines()[-1])


__all__ = ["FolderCheckError", "ModelFolderError", "check_folder"]
