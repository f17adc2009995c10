"""The commands `fakeface evaluate` and `fakeface calibrate`, for `fakeface.cli` to mount."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .terminal import clear_refusals, complain

if TYPE_CHECKING:
    import datasets

    from .detector import Detector

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
    model: Annotated[
        str | None, typer.Argument(help="Model folder, Hub id, ONNX file, or a CSV file with columns label and score.")
    ] = None,
    dataset: Dataset = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report, its page, and the scores a stopped run goes on from.")
    ] = None,
    recipe: RecipeFile = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also after JPEG, WebP, rescaling, blur, noise, other framings, retouching.")
    ] = False,
    step: Annotated[
        list[str] | None, typer.Option(help='Only this step of it, such as "JPEG 30" or "moved 5 %"; repeatable.')
    ] = None,
    slices: Annotated[
        list[str] | None, typer.Option("--slice", help="Column of the data whose values get error rates; repeatable.")
    ] = None,
    generated_label: Annotated[
        list[str] | None, typer.Option(help="Label of the model that means generated, if unclear; repeatable.")
    ] = None,
    seen: Annotated[
        list[str] | None, typer.Option(help="Generator that training saw; by default as its report says; repeatable.")
    ] = None,
    leave_one_generator_out: Annotated[
        Path | None,
        typer.Option(
            "--leave-one-generator-out",
            metavar="RECIPE",
            help="Instead of MODEL: train this recipe without each generator and real source, and measure it there.",
        ),
    ] = None,
    trunk_weights: Annotated[
        str | None, typer.Option(help="For that: trunk of the recipe, a safetensors file, hub or none.")
    ] = None,
    train_script: Annotated[
        Path | None, typer.Option(help="For that: train.py; by default the one above the recipe, or here.")
    ] = None,
    limit: Limit = 0,
    device: Device = None,
    dtype: Annotated[
        str, typer.Option(help="float32; or auto, the quickest for the device, for model folders of fakeface.")
    ] = "float32",
    batch_size: BatchSize = 32,
    workers: Workers = 2,
) -> None:
    """Measure any detector of faces, clean, delivered and part by part.

    With --data the pictures are those that the model's training held out; with DATASET all pictures there are. MODEL
    is ours or any image classifier that transformers opens. Writes scores.csv and evaluation.json, .csv and .md, and
    with --out a page, evaluation.html; without it, figures of --data go into the model folder. Run it by
    `accelerate launch -m fakeface evaluate` to share the work among several GPUs.

    With --leave-one-generator-out RECIPE there is no MODEL: it takes as many trainings as --data have generators and
    real sources, and one more; a run that was stopped goes on with the same command.
    """
    chosen = [
        *(["--dtype"] if dtype != "float32" else []),
        *(["--step"] if step else []),
        *(["--sweep"] if sweep else []),
    ]
    if leave_one_generator_out:
        with clear_refusals():
            _refuse_unused(chosen, "leaving one out")
            if model or not data:
                raise ValueError(
                    "leaving one out takes no model or dataset, but --data to train on and to hold out from"
                )
            _leave_one_out(
                leave_one_generator_out,
                {"data": data, **({"trunk_weights": trunk_weights} if trunk_weights else {})},
                train_script,
                out,
                {"limit": limit, "device": device, "batch_size": batch_size, "workers": workers},
            )
        return
    with clear_refusals():
        if model is None:
            raise ValueError("name a model: a folder, a Hub id, or a CSV file of scores")
        from .evaluation import markdown
        from .evaluation_run import run_on_pictures, run_on_scores

        command = shlex.join(["fakeface", *sys.argv[1:]])
        if model.endswith(".csv"):
            _refuse_unused(chosen, "a file of scores")
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
                dtype=dtype,
                batch_size=batch_size,
                workers=workers,
                sweep=sweep,
                steps=step or (),
                complain=_complain_each,
            )
    if done:  # on the first rank
        report, written = done
        print(markdown(report), written, sep="\n")


def _refuse_unused(chosen: list[str], what: str) -> None:
    if chosen:
        raise ValueError(f"{what} takes no {chosen[0]}; leave it out")


def calibrate(
    model: Annotated[Path, typer.Argument(help="A model folder; its config.json gets the numbers.")],
    dataset: Dataset = None,
    data: Data = None,
    recipe: RecipeFile = None,
    target_fpr: Annotated[float, typer.Option(help="Share of photographs that may be called generated.")] = 0.01,
    target_miss_rate: Annotated[
        float, typer.Option(help="Share of generated pictures that may be called real.")
    ] = 0.05,
    faces: Annotated[
        bool, typer.Option("--faces", help="Measure face_margin and smallest_face instead, on faces that are found.")
    ] = False,
    limit: Limit = 0,
    device: Device = None,
    batch_size: BatchSize = 32,
    workers: Workers = 2,
) -> None:
    """Fit a model's temperature, bias and thresholds on pictures that its training did not see, clean and delivered.

    With --data those are the validation pictures of its recipe; with DATASET all pictures there, which should be like
    those it will judge. The numbers go into config.json, where everything that opens the model finds them.

    With --faces: how wide to cut the faces that are found, and below what size they are too small to tell.
    """
    with clear_refusals():
        from .calibration import fit, raw_margins, store_in_config
        from .detector import Detector
        from .measured_data import held_out, recipe_for, whole

        _refuse_unclear(dataset, data)
        for name, share in (("--target-fpr", target_fpr), ("--target-miss-rate", target_miss_rate)):
            if not 0 < share < 1:
                raise ValueError(f"{name} is {share}: it takes a number between 0 and 1")
        if not model.is_dir():
            raise ValueError(f"{model}: no such folder; only a model folder on this machine can be calibrated")
        detector = Detector.from_pretrained(model, device=device, faces=faces, dtype="auto" if faces else None)
        settings = recipe_for(model, recipe, data or [])
        splits, refused = held_out(settings, limit=limit) if data else whole(dataset or [], limit=limit)
        _complain_each(refused)
        if data and "validation" not in splits:
            raise ValueError(f"{', '.join(data)}: has no validation pictures; give the dataset as an argument instead")
        pictures = splits["validation" if data else "all"]
        if faces:
            numbers = _measure_faces(detector, pictures)
        else:
            margins, labels = raw_margins(
                detector, pictures, how=settings.augmentation_settings(), seed=settings.seed, batch_size=batch_size,
                workers=workers,
            )  # fmt: skip
            numbers = vars(fit(margins, labels, target_fpr=target_fpr, target_miss_rate=target_miss_rate))
        store_in_config(model, numbers)
    for name, value in numbers.items():
        print(f"{name:<20} {value:.6g}")
    print(f"\nstored in {model / 'config.json'}; measure it anew with `fakeface evaluate`, then `fakeface card`")


def _measure_faces(detector: "Detector", pictures: "datasets.Dataset") -> dict[str, float]:
    import numpy as np

    from .face_calibration import calibrate_faces

    found = calibrate_faces(detector, pictures["image"], np.array(pictures["label"]))
    print(f"{found.n_real} real and {found.n_generated} generated faces, none in {found.not_found} pictures\n")
    print(f"{'margin':<10} AUC")
    print("\n".join(f"{margin:<10g} {auc:.4f}" for margin, auc in found.by_margin.items()), "\n")
    print(f"{'side, px':<10} {'AUC':<8} {'loss':<8} false positives")
    for side, one in found.by_side.items():
        print(f"{side:<10} {one.auc:<8.4f} {one.loss:<8.4f} {one.fpr:.1%}")
    print()
    return {"face_margin": found.face_margin, "smallest_face": found.smallest_face}


def _leave_one_out(
    recipe: Path, changes: dict[str, Any], script: Path | None, out: Path | None, options: dict[str, Any]
) -> None:
    from .leave_one_out import find_script, leave_one_out
    from .leave_one_out_text import markdown
    from .recipe import build_recipe, read_recipe

    settings = build_recipe({**read_recipe(recipe), **changes})
    script = find_script(recipe, script)
    command = shlex.join(["fakeface", *sys.argv[1:]])
    report, written = leave_one_out(settings, script, out or Path("leave-one-out"), command, tell=complain, **options)
    print(markdown(report), written, sep="\n")


def _refuse_unclear(dataset: list[str] | None, data: list[str] | None) -> None:
    if bool(dataset) == bool(data):
        raise ValueError("name either a dataset, to take all its pictures, or --data, to take those held out")


def _complain_each(messages: Sequence[str]) -> None:
    for message in messages:
        complain(message)
