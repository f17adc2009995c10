"""The commands `fakeface evaluate` and `fakeface calibrate`, for `fakeface.cli` to mount."""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..data.names import refuse_missing, refuse_untold
from ..detector.points import RATES
from ..model_folder.names import refuse_missing as refuse_missing_model
from ..utils.errors import OptionError
from ..utils.files import refuse_unwritable
from ..utils.text import complain
from .terminal import clear_refusals, split_names

if TYPE_CHECKING:
    import datasets

    from ..detector.detector import Detector

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

Labels = Annotated[
    str | None,
    typer.Option(help="What 0 and 1 mean where labels have no names: real,generated or generated,real."),
]


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
    labels: Labels = None,
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
            help="Instead of MODEL: train this recipe without each generator, family and real source, and measure "
            "it there.",
        ),
    ] = None,
    trunk_weights: Annotated[
        str | None, typer.Option(help="For that: trunk of the recipe, a safetensors file, hub or none.")
    ] = None,
    train_script: Annotated[
        Path | None, typer.Option(help="For that: train.py; by default the one that came with fakeface.")
    ] = None,
    faces: Annotated[
        bool | None,
        typer.Option(
            "--faces/--as-cut",
            help="Judge the face found in each picture, or pictures as they are; by default as the model cuts faces.",
        ),
    ] = None,
    limit: Limit = 0,
    device: Device = None,
    dtype: Annotated[
        str, typer.Option(help="float32; or auto, the quickest for the device, for model folders of fakeface.")
    ] = "float32",
    batch_size: BatchSize = 32,
    workers: Workers = 2,
) -> None:
    """Measure any detector of faces, on any pictures.

    Clean, delivered and part by part. With --data the pictures are those that the model's training held out; with
    DATASET all pictures there are. MODEL is ours or any image classifier that transformers opens. Writes scores.csv
    and evaluation.json, .csv and .md, and with --out a page, evaluation.html; without it, figures of --data go into
    the model folder. Run it by `accelerate launch -m fakeface evaluate` to share the work among several GPUs.

    With --leave-one-generator-out RECIPE there is no MODEL: it takes as many trainings as --data have generators and
    real sources, and one more; a run that was stopped goes on with the same command.
    """
    chosen = [
        *(["--dtype"] if dtype != "float32" else []),
        *(["--step"] if step else []),
        *(["--sweep"] if sweep else []),
        *([] if faces is None else ["--faces" if faces else "--as-cut"]),
    ]
    if leave_one_generator_out:
        with clear_refusals():
            _refuse_unused(chosen, "leaving one out")
            if model or not data:
                raise OptionError(
                    "leaving one out takes no model or dataset, but --data to train on and to hold out from"
                )
            refuse_missing(data)
            refuse_unwritable(out or Path("leave-one-out"))
            _leave_one_out(
                leave_one_generator_out,
                {
                    "data": data,
                    **({"trunk_weights": trunk_weights} if trunk_weights else {}),
                    **({"labels": split_names(labels)} if labels else {}),
                },
                train_script,
                out,
                {"limit": limit, "device": device, "batch_size": batch_size, "workers": workers},
            )
        return
    with clear_refusals():
        if model is None:
            raise OptionError("name a model: a folder, a Hub id, or a CSV file of scores")
        if out:
            refuse_unwritable(out)
        if not model.endswith(".csv"):
            _refuse_early(model, dataset, data, labels, recipe)
        from ..evaluation.report import markdown
        from ..evaluation.run import run_on_pictures, run_on_scores

        command, stated = shlex.join(["fakeface", *sys.argv[1:]]), split_names(labels)
        if model.endswith(".csv"):
            _refuse_unused(chosen, "a file of scores")
            if dataset or data:
                raise OptionError(f"{model}: a file of scores has its labels in it; leave out the dataset")
            done = run_on_scores(Path(model), command, out=out, slices=slices or (), labels=stated)
        else:
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
                faces=faces,
                labels=stated,
                complain=_complain_each,
            )
    if done:  # on the first rank
        report, written = done
        print(markdown(report), written, sep="\n")


def _refuse_unused(chosen: list[str], what: str) -> None:
    if chosen:
        raise OptionError(f"{what} takes no {chosen[0]}; leave it out")


def calibrate(
    model: Annotated[Path, typer.Argument(help="A model folder; its config.json gets the numbers.")],
    dataset: Dataset = None,
    data: Data = None,
    recipe: RecipeFile = None,
    labels: Labels = None,
    target_fpr: Annotated[float, typer.Option(help="Share of photographs that may be called generated.")] = 0.01,
    target_miss_rate: Annotated[
        float, typer.Option(help="Share of generated pictures that may be called real.")
    ] = 0.05,
    faces: Annotated[
        bool, typer.Option("--faces", help="Measure face_margin and smallest_face instead, on faces that are found.")
    ] = False,
    cascade: Annotated[
        str | None,
        typer.Option(
            metavar="FAST", help="Fit instead the bounds beyond which this fast model decides before MODEL is asked."
        ),
    ] = None,
    disagree: Annotated[
        float, typer.Option(help="For that: share of pictures on which it may decide otherwise than MODEL does.")
    ] = 0.01,
    limit: Limit = 0,
    device: Device = None,
    batch_size: BatchSize = 32,
    workers: Workers = 2,
) -> None:
    """Fit a model's temperature, bias and thresholds.

    It takes pictures that the model's training did not see, clean and delivered. With --data those are the
    validation pictures of its recipe; with DATASET all pictures there, which should be like those it will judge. It
    takes 1 / target-fpr photographs, 100 for 1 %. Of a model that cuts faces by their landmarks the face in each
    picture counts, as in use. The numbers go into config.json, where everything that opens the model finds them. So
    do the thresholds of the operating points strict and triage, which take 1000 and 20 photographs.

    With --faces: how wide to cut the faces that are found, and below what size they are too small to tell.

    With --cascade FAST: which scores of that model are sure enough for `--cascade` of predict and score.
    """
    with clear_refusals():
        if not model.is_dir():
            raise OptionError(f"{model}: no such folder; only a model folder on this machine can be calibrated")
        _refuse_early(str(model), dataset, data, labels, recipe)
        if faces and cascade:
            raise OptionError("--faces and --cascade measure different things; run one after the other")
        shares = {"--target-fpr": target_fpr, "--target-miss-rate": target_miss_rate, "--disagree": disagree}
        for name, share in shares.items():
            if not 0 < share < 1:
                raise OptionError(f"{name} is {share}: it takes a number between 0 and 1")
        if cascade:
            refuse_missing_model(cascade)
        from ..data.faces import faceless, only_faces, with_faces
        from ..detector.detector import Detector
        from ..evaluation.calibration import VIEWS, fit, raw_margins, store_in_config
        from ..evaluation.cascade_calibration import calibrate_cascade
        from ..evaluation.inputs import held_out, recipe_for, whole
        from ..faces import FaceFinder
        from ..model_folder.fingerprint import fingerprint

        dtype = "auto" if faces or cascade else None  # as `score` has it
        detector = Detector.from_pretrained(model, device=device, faces=faces, dtype=dtype)
        stated = split_names(labels)
        settings = recipe_for(model, recipe, data or [], stated)
        splits, refused = (
            held_out(settings, model, limit=limit, to_calibrate=True)
            if data
            else whole(dataset or [], limit=limit, labels=stated)
        )
        _complain_each(refused)
        if data and "validation" not in splits:
            raise OptionError(f"{', '.join(data)}: has no validation pictures; give the dataset as an argument instead")
        pictures = splits["validation" if data else "all"]
        options: dict[str, Any] = {
            "how": settings.augmentation_settings(), "seed": settings.seed, "batch_size": batch_size, "workers": workers
        }  # fmt: skip
        if faces:
            numbers = _measure_faces(detector, pictures)
        elif cascade:
            first = Detector.from_pretrained(cascade, device=device, faces=False, dtype=dtype)
            found = calibrate_cascade(first, detector, pictures, share=disagree, **options)
            numbers = {"cascade": found.stored(fingerprint(cascade, first.config))}
        else:
            cut = None
            if detector.config.face_cut == "landmarks":
                cut = replace(detector.preparer, finder=FaceFinder.from_pretrained())
                pictures = with_faces(pictures, workers, finder=cut.finder)
                _complain_each([f"{name}: no face was found in it" for name in faceless(pictures)])
                pictures = only_faces(pictures)
            margins, truth = raw_margins(detector, pictures, cut=cut, **options)
            rates = {"target_fpr": target_fpr, "target_miss_rate": target_miss_rate}
            numbers = vars(fit(margins, truth, **rates, views=len(VIEWS)))
        store_in_config(model, numbers)
    print("\n".join(_told(numbers)))
    print(f"\nstored in {model / 'config.json'}; measure it anew with `fakeface evaluate`, then `fakeface card`")


def _told(numbers: Mapping[str, Any]) -> Iterator[str]:
    """A line for each number, and for each number of an operating point."""
    for name, value in numbers.items():
        if name == "operating_points":
            for point, its in value.items():
                yield from (f"{point}: {line}" for line in _told(its))
            yield from (f"{point}: left out; it takes {1 / rate:g} photographs or more"
                        for point, rate in RATES.items() if point not in value)  # fmt: skip
        elif name == "cascade" and value:
            yield from (f"{part:<20} {its if isinstance(its, str) else f'{its:.6g}'}" for part, its in value.items())
        elif isinstance(value, dict):
            yield f"{name:<20} {', '.join(f'{number}: {score:.6g}' for number, score in value.items())}"
        elif value is not None:
            yield f"{name:<20} {value:.6g}"


def _measure_faces(detector: "Detector", pictures: "datasets.Dataset") -> dict[str, float | None]:
    import numpy as np

    from ..evaluation.face_calibration import calibrate_faces

    found = calibrate_faces(detector, pictures["image"], np.array(pictures["label"]))
    print(f"{found.n_real} real and {found.n_generated} generated faces, none in {found.not_found} pictures\n")
    print(f"{'margin':<10} AUC")
    print("\n".join(f"{margin:<10g} {auc:.4f}" for margin, auc in found.by_margin.items()), "\n")
    print(f"{'side, px':<10} {'AUC':<8} {'loss':<8} false positives")
    for side, one in found.by_side.items():
        print(f"{side:<10} {one.auc:<8.4f} {one.loss:<8.4f} {one.fpr:.1%}")
    print()
    return {"face_margin": found.face_margin, "smallest_face": found.smallest_face, "cascade": None}


def _leave_one_out(
    recipe: Path, changes: dict[str, Any], script: Path | None, out: Path | None, options: dict[str, Any]
) -> None:
    from ..recipe import build_recipe, read_recipe

    settings = build_recipe({**read_recipe(recipe), **changes})
    refuse_untold(settings.data, settings.labels)
    from ..evaluation.leave_one_out import find_script, leave_one_out
    from ..evaluation.leave_one_out_report import markdown

    command = shlex.join(["fakeface", *sys.argv[1:]])
    report, written = leave_one_out(
        settings, find_script(script), out or Path("leave-one-out"), command, tell=complain, **options
    )
    print(markdown(report), written, sep="\n")


def _refuse_early(
    model: str, dataset: list[str] | None, data: list[str] | None, labels: str | None, recipe: Path | None
) -> None:
    if bool(dataset) == bool(data):
        raise OptionError("name either a dataset, to take all its pictures, or --data, to take those held out")
    refuse_missing_model(model)
    refuse_missing(dataset or data or [])
    from ..recipe import build_recipe, read_recipe, recipe_of

    values = read_recipe(recipe) if recipe else recipe_of(Path(model)) if Path(model).is_dir() else None
    if dataset or labels:
        refuse_untold(dataset or data or [], split_names(labels))
    elif values is not None:  # what the recipe of a model on the Hub states is not at hand yet
        refuse_untold(data or [], build_recipe(values).labels)


def _complain_each(messages: Sequence[str]) -> None:
    for message in messages:
        complain(message)
