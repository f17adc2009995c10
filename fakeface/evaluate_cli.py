"""The commands `fakeface evaluate` and `fakeface calibrate`, for `fakeface.cli` to mount."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from .terminal import clear_refusals, complain

Dataset = Annotated[
    list[str] | None, typer.Argument(help="Take all pictures of these: parquet files, image folders, Hub datasets.")
]
Data = Annotated[
    list[str] | None,
    typer.Option(help="Take the held-out pictures of these instead, split as the model's training did; repeatable."),
]
RecipeFile = Annotated[Path | None, typer.Option(help="Recipe to split --data by; by default the model's own.")]
Limit = Annotated[int, typer.Option(min=0, help="Take this many pictures of each split, spread over it; 0 for all.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps; by default the GPU, if any.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Pictures per pass of the model.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that decode pictures.")]


def evaluate(
    model: Annotated[str, typer.Argument(help="Model folder, Hub id, or a CSV file with columns label and score.")],
    dataset: Dataset = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report, its page, and the scores a stopped run goes on from.")
    ] = None,
    recipe: RecipeFile = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also after JPEG, WebP, rescaling, blur, noise, thumbnails, two hops.")
    ] = False,
    slices: Annotated[
        list[str] | None, typer.Option("--slice", help="Column of the data whose values get error rates; repeatable.")
    ] = None,
    generated_label: Annotated[
        list[str] | None, typer.Option(help="Label of the model that means generated, if unclear; repeatable.")
    ] = None,
    seen: Annotated[
        list[str] | None, typer.Option(help="Generator that training saw; by default as its report says; repeatable.")
    ] = None,
    limit: Limit = 0,
    device: Device = None,
    batch_size: BatchSize = 32,
    workers: Workers = 2,
) -> None:
    """Measure any detector of faces, clean, delivered and part by part.

    With --data the pictures are those that the model's training held out; with DATASET all pictures there are. MODEL
    is ours or any image classifier that transformers opens. Writes scores.csv and evaluation.json, .csv and .md, and
    with --out a page, evaluation.html; without it, figures of --data go into the model folder. Run it by
    `accelerate launch -m fakeface evaluate` to share the work among several GPUs.
    """
    with clear_refusals():
        from .evaluation import markdown
        from .evaluation_run import run_on_pictures, run_on_scores

        command = shlex.join(["fakeface", *sys.argv[1:]])
        if model.endswith(".csv"):
            if dataset or data:
                raise ValueError(f"{model}: a file of scores has its labels in it; leave out the dataset")
            done = run_on_scores(Path(model), command, out=out, slices=slices or ())
        else:
            _refuse_unclear(dataset, data)
            done = run_on_pictures(
                model,
                command,
                dataset=dataset or (),
                data=data or (),
                out=out,
                recipe=recipe,
                slices=slices or (),
                generated=generated_label or (),
                seen=seen or (),
                limit=limit,
                device=device,
                batch_size=batch_size,
                workers=workers,
                sweep=sweep,
                complain=_complain_each,
            )
    if done:  # on the first rank
        report, written = done
        print(markdown(report), written, sep="\n")


def calibrate(
    model: Annotated[Path, typer.Argument(help="A model folder; its config.json gets the numbers.")],
    dataset: Dataset = None,
    data: Data = None,
    recipe: RecipeFile = None,
    target_fpr: Annotated[float, typer.Option(help="Share of photographs that may be called generated.")] = 0.01,
    target_miss_rate: Annotated[
        float, typer.Option(help="Share of generated pictures that may be called real.")
    ] = 0.05,
    limit: Limit = 0,
    device: Device = None,
    batch_size: BatchSize = 32,
    workers: Workers = 2,
) -> None:
    """Fit a model's temperature, bias and thresholds on pictures that its training did not see, clean and delivered.

    With --data those are the validation pictures of its recipe; with DATASET all pictures there, which should be like
    those it will judge. The numbers go into config.json, where everything that opens the model finds them.
    """
    with clear_refusals():
        from .calibration import fit, raw_margins
        from .detector import Detector
        from .measured_data import held_out, recipe_for, whole

        _refuse_unclear(dataset, data)
        for name, share in (("--target-fpr", target_fpr), ("--target-miss-rate", target_miss_rate)):
            if not 0 < share < 1:
                raise ValueError(f"{name} is {share}: it takes a number between 0 and 1")
        if not model.is_dir():
            raise ValueError(f"{model}: no such folder; only a model folder on this machine can be calibrated")
        detector = Detector.from_pretrained(model, device=device, faces=False)
        settings = recipe_for(model, recipe, data or [])
        splits, refused = held_out(settings, limit=limit) if data else whole(dataset or [], limit=limit)
        _complain_each(refused)
        if data and "validation" not in splits:
            raise ValueError(f"{', '.join(data)}: has no validation pictures; give the dataset as an argument instead")
        margins, labels = raw_margins(
            detector, splits["validation" if data else "all"], how=settings.augmentation_settings(),
            seed=settings.seed, batch_size=batch_size, workers=workers,
        )  # fmt: skip
        calibration = fit(margins, labels, target_fpr=target_fpr, target_miss_rate=target_miss_rate)
        calibration.store_in(model)
    for name, value in vars(calibration).items():
        print(f"{name:<20} {value:.6g}")
    print(f"\nstored in {model / 'config.json'}; measure it anew with `fakeface evaluate`, then `fakeface card`")


def _refuse_unclear(dataset: list[str] | None, data: list[str] | None) -> None:
    if bool(dataset) == bool(data):
        raise ValueError("name either a dataset, to take all its pictures, or --data, to take those held out")


def _complain_each(messages: Sequence[str]) -> None:
    for message in messages:
        complain(message)
