"""Fill the model card and the README's figures from evaluation reports, so that no figure is typed by hand."""

import json
import re
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..evaluation.report import REPORT, overall_cells, weights_sha256
from ..model_folder.checksums import renew_sums
from ..model_folder.opening import CONFIG, read_json
from ..recipe import training_of
from ..reports.markdown import figure, percent, table
from ..utils.errors import FakefaceError
from ..utils.shipped import shipped

TEMPLATE = "model_card.md"
CARD = "README.md"
PLACE = "path/or/hub-id"
UNMEASURED = """---
{card_data}
---

# {name}

Tells whether a picture of a face is a photograph or was made by a generative model. **Nobody has measured how
well**, so its scores say little. `fakeface evaluate` measures it.

```python
from transformers import pipeline

classify = pipeline("image-classification", model="{where}", trust_remote_code=True)
```

Labels: `real` = 0, `generated` = 1. Code and weights are under the Apache License 2.0.
"""
MADE = {
    "resnet50-cnn": "A ResNet-50 trunk (timm, ImageNet weights, to its third stage) with a convolutional head",
    "vit-b16-cnn": "The lower blocks of CLIP's ViT-B/16 (OpenAI, MIT), as they are, with a convolutional head",
}
FRAMING = {
    "box": "It is meant for squares in which one face fills about half of the width, and sees the centre square of "
    "what it is given. `Detector` finds the faces of a picture and cuts such squares first; `pipeline` does not.",
    "landmarks": "It is meant for faces that are cut by their landmarks as FFHQ is aligned, a little closer. "
    "`Detector` finds the faces of a picture and cuts them so, tilted ones too; `pipeline` takes the centre square as "
    "it is.",
}
SPLIT_NAMES = {"validation": "validation", "test": "test", "unseen": "unseen sources"}


class CardError(FakefaceError):
    """A card or README cannot be made; the message names the file and the cure."""


def read_report(path: str | Path) -> dict[str, Any]:
    """An `evaluation.json`.

    Raises:
        CardError: the file is missing or no report.
    """
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        if not {"overall", "generators", "kept_out", "weights_sha256", "command", "operating_point"} <= report.keys():
            raise ValueError("keys are missing")
    except (OSError, ValueError, AttributeError) as error:
        raise CardError(f"{path}: not an evaluation report ({error}); `fakeface evaluate` writes one") from error
    return report


def fresh_report(folder: str | Path) -> dict[str, Any]:
    """A model folder's `evaluation.json`, if its figures are those of the folder as it is now.

    Raises:
        CardError: no report, or one of other weights, or of another calibration than the folder's config has.
        ModelFolderError: the folder has no config that can be read.
    """
    folder = Path(folder)
    report = read_report(folder / REPORT)
    cure = "its figures are no longer true; run `fakeface evaluate` again"
    if report["weights_sha256"] == measured_before_everything(folder):
        return report
    if report["weights_sha256"] != weights_sha256(folder):
        raise CardError(f"{folder / REPORT}: measured on other weights; {cure}")
    config = read_json(folder, str(folder), CONFIG)
    # Reports from before temperature and bias stood in them still have the thresholds, which are fitted together.
    stated = {**report["operating_point"], **report.get("calibration", {})}
    if changed := [name for name, value in stated.items() if config.get(name) != value]:
        raise CardError(f"{folder / REPORT}: measured with another {changed[0]} than {CONFIG} has; {cure}")
    return report


def measured_before_everything(folder: Path) -> str | None:
    """sha256 of the weights whose figures stand for a folder's, where those were then trained on everything."""
    everything = training_of(folder).get("everything")  # in an untrusted folder it may be anything
    return everything.get("measured_weights_sha256") if isinstance(everything, dict) else None


def write_card(folder: str | Path, *, name: str | None = None, where: str = PLACE) -> Path:
    """Write a model folder's card, `README.md`, from its `evaluation.json` and the template.

    Args:
        folder: a model folder with an `evaluation.json` in it.
        name: of the model; by default the folder's.
        where: what its readers shall open: a Hub id, or a path.

    Raises:
        CardError: no template, or as of `fresh_report`.
    """
    folder = Path(folder)
    report, name = fresh_report(folder), name or folder.name
    record = training_of(folder)
    recipe = record.get("recipe", {})
    config = read_json(folder, str(folder), CONFIG)
    point = {name: config.get(name, stated) for name, stated in report["operating_point"].items()}
    seen = [row for row in report["generators"] if row["split"] == "validation" and row["view"] == "clean"]
    real_sources = {row["source"] for row in report["kept_out"]}
    card = ModelCard.from_template(
        card_data(report, name),
        template_path=str(_template()),
        model_name=name,
        where=where,
        made=MADE.get(report["architecture"], "A small network of its own"),
        framing=FRAMING[config.get("face_cut", "box")],
        n_generators=len(seen),
        n_real_sources=len(real_sources),
        generator_names=", ".join(row["generator"] for row in seen),
        threshold_generated=f"{point['threshold_generated']:.3f}",
        threshold_real=f"{point['threshold_real']:.3f}",
        target_fpr_percent=f"{100 * (point['target_fpr'] or 0):g}",
        overall=overall_table(report),
        kept_out=kept_out_table(report),
        generators=generators_table(report),
        data=", ".join(f"{part['pictures']:,} {name}" for name, part in report["data"].items()) + " pictures.",
        matched="Each training picture also stands in a copy that shares size, sharpness, light and colour with a "
        "picture of the other label. "
        if recipe.get("matched")
        else "",
        started=f"Training went on from the weights of `{start}`, and what those saw it saw. "
        if (start := recipe.get("start_from"))
        else "",
        left_out=f"Pictures that `{left_out}` names were left out of training. "
        if (left_out := recipe.get("leave_out"))
        else "",
        trained=_trained(record),
        everything=_everything(record),
        command=report["command"],
        weights=report["weights_sha256"][:16],
    )
    card.save(folder / CARD)
    renew_sums(folder)
    return folder / CARD


def _trained(record: dict[str, Any]) -> str:
    """With which seed, and on what, a training was; nothing of one that left no record."""
    if not record:
        return ""
    place, ranks = record.get("hardware") or record.get("device", "unknown hardware"), record.get("processes", 1)
    where = place if ranks == 1 else f"{ranks} ranks of {place}"
    return f"It was trained with seed {record['recipe'].get('seed')} on {where}. "


def _everything(record: dict[str, Any]) -> str:
    """That the weights are not those that were measured, where they were trained on everything afterwards."""
    everything = record.get("everything")
    if not isinstance(everything, dict):
        return ""
    seen = f"{everything['pictures']:,} pictures"
    if "mean" not in everything:
        return (
            "\n\n**The figures are of the weights that training went on from**, which had not seen the test and unseen "
            f"pictures. The weights in this folder then learned from these too, {seen} in all, so that nothing can be "
            "measured with them there. Their thresholds come from the validation pictures, which stayed out, and from "
            "a share of the unseen ones that stayed out as well."
        )
    mean, worst = everything["mean"], everything["worst"]
    figures = ", ".join(f"{mean[view]:.3f} {view} (worst fold {worst[view]:.3f})" for view in mean)
    return (
        "\n\n**The figures are of a twin**, which was trained without the validation, test and unseen pictures. The "
        f"weights in this folder saw all {seen}, by the same recipe, so that nothing can "
        "be measured with them on these pictures. Their thresholds come from sources left out, a fifth at a time, "
        f"where the mean AUC is {figures}."
    )


def write_unmeasured_card(folder: str | Path, *, name: str | None = None, where: str = PLACE) -> Path:
    """Write the card of a model folder that has no `evaluation.json`; arguments as for `write_card`."""
    folder = Path(folder)
    content = UNMEASURED.format(card_data=card_data(None, name or folder.name), name=name or folder.name, where=where)
    ModelCard(content).save(folder / CARD)
    renew_sums(folder)
    return folder / CARD


def card_data(report: dict[str, Any] | None, name: str) -> ModelCardData:
    """Metadata the Hub understands: licence, task, and AUC on the test and unseen pictures as `EvalResult`s."""
    overall, data = (report["overall"], report["data"]) if report else ([], {})
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type="face-pictures",
            dataset_name=f"{SPLIT_NAMES[row['split']]}, {row['view']}",
            # The Hub merges results that agree in these two and the type.
            dataset_config=row["view"],
            dataset_split=row["split"],
            dataset_args={"fingerprint": data[row["split"]]["fingerprint"]},
            metric_type="roc_auc",
            metric_name="ROC AUC",
            metric_value=round(row["auc"], 4),
        )
        for row in overall
        if row["split"] != "validation" and row["auc"] is not None
    ]
    return ModelCardData(
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag="image-classification",
        tags=["fakeface", "image-forensics", "generated-image-detection", "faces"],
        metrics=["roc_auc"] if report else None,
        model_name=name,
        eval_results=results or None,
    )


def _template() -> Path:
    path = shipped(TEMPLATE, TEMPLATE)
    if not path.is_file():
        raise CardError(f"{TEMPLATE}, the card's template, is missing: install fakeface again")
    return path


def fill_readme(readme: str | Path, report: dict[str, Any], others: list[dict[str, Any]]) -> None:
    """Replace what stands between the README's two figure comments.

    Args:
        readme: a file with `<!-- figures: … -->` and `<!-- end of figures -->` in it.
        report: of the shipped model.
        others: of the architectures to set beside it.

    Raises:
        CardError: the comments are missing.
    """
    body = "\n\n".join(
        (
            architectures_table([report, *others]),
            "The shipped `resnet50-cnn` at its operating point:",
            overall_table(report),
            "False positives on photographs kept out of training (validation, which set the thresholds, and test):",
            kept_out_table(report),
        )
    )
    fill_block(readme, "figures", body)


def fill_block(page: str | Path, name: str, body: str) -> None:
    """Replace what stands between two comments of a page, `<!-- name: … -->` and `<!-- end of name -->`.

    Args:
        page: a Markdown file; its first comment says by which command the block is written.
        name: of the block.
        body: Markdown to put there.

    Raises:
        CardError: the comments are missing.
    """
    path = Path(page)
    block = re.compile(rf"(<!-- {name}: .*? -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    filled, found = block.subn(lambda match: f"{match[1]}\n{body}\n\n{match[2]}", path.read_text(encoding="utf-8"))
    if not found:
        raise CardError(f"{path}: has no `<!-- {name}: … -->` and `<!-- end of {name} -->` to write between")
    path.write_text(filled, encoding="utf-8")


def architectures_table(reports: list[dict[str, Any]]) -> str:
    """AUC of each report's model, on validation, test and unseen pictures."""
    columns = [("validation", "clean"), ("test", "clean"), ("test", "delivered"), ("unseen", "clean")]
    rows = []
    for report in reports:
        found = {(row["split"], row["view"]): row for row in report["overall"]}
        rows.append([f"`{report['architecture']}`", *(figure(found.get(column, {}), "auc") for column in columns)])
    return table(["AUC", *(f"{SPLIT_NAMES[split]}, {view}" for split, view in columns)], rows)


def overall_table(report: dict[str, Any]) -> str:
    """One row a split and view, validation left out: it chose the checkpoint and the thresholds."""
    head = ["pictures", "n real + generated", "AUC", "TPR at 1 % FPR", "false positives", "missed", "uncertain", "ECE"]
    rows = [
        [
            f"{SPLIT_NAMES[row['split']]}, {row['view']}",
            *overall_cells(row),
        ]
        for row in report["overall"]
        if row["split"] != "validation"
    ]
    return table(head, rows)


def kept_out_table(report: dict[str, Any]) -> str:
    """False-positive rate per real source, over all its pictures that training did not see."""
    unseen = [row for row in report["real_sources"] if row["split"] == "unseen"]
    rows: dict[str, dict[str, Any]] = {}
    for row in (*report["kept_out"], *unseen):
        name = row["source"] + (" (unseen source)" if "split" in row else "")
        rows.setdefault(name, {})[row["view"]] = row
    return table(
        ["real source", "n", "clean", "delivered"],
        [
            [name, str(views["clean"]["fpr_n"]), percent(views["clean"], "fpr"), percent(views["delivered"], "fpr")]
            for name, views in rows.items()
        ],
    )


def generators_table(report: dict[str, Any]) -> str:
    """AUC and missed share per generator, on test and unseen pictures."""
    return table(
        ["generator", "pictures", "n", "AUC", "missed"],
        [
            [
                row["generator"],
                f"{SPLIT_NAMES[row['split']]}, {row['view']}",
                str(row["n_generated"]),
                figure(row, "auc"),
                percent(row, "miss_rate"),
            ]
            for row in report["generators"]
            if row["split"] != "validation"
        ],
    )
