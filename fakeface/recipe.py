"""Training recipes: a small YAML file plus command-line overrides; unknown keys are refused."""

import argparse
import contextlib
import dataclasses
import difflib
import inspect
import json
import math
import re
import types
import typing
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .delivery.augment import Augmentation
from .utils.errors import FakefaceError
from .utils.label_names import LabelsError, stated_order

ARCHITECTURES = ("logistic", "cnn", "resnet50-cnn", "vit-b16-cnn")  # as in fakeface.configuration_fakeface
# The numbers that keys take, both ends included: outside of them a run ends in a library's traceback. numpy's old
# generator, which `set_seed` seeds too, takes 32 bits.
RANGES = {
    "image_size": (1, 1024),
    "small_size": (1, 1024),
    "seed": (0, 2**32 - 1),
    "split_seed": (0, 2**32 - 1),
    "source_balance": (0, 1),
    "samples_per_epoch": (0, 10**9),
    "limit": (0, 10**9),
    "learning_rate": (0, 100),
    "trunk_learning_rate": (0, 100),
    "weight_decay": (0, 100),
    "warmup": (0, 1),
    "label_smoothing": (0, 1),
    "consistency_weight": (0, 100),
    "clip_norm": (0, 10**6),
    "target_fpr": (0, 1),
}
# The same for numbers and both ends of ranges in `augmentation`; 0 has no logarithm.
AUGMENTATION_RANGES = {"zoom": (0.01, 100), "thumbnail_side": (1, 10**4), "quality": (1, 100)}

SHA256 = re.compile("[0-9a-fA-F]{64}")

TRAINING_RECORD = "training.json"  # in a model folder: the `run.json` of the run that made it


class RecipeError(FakefaceError):
    """The recipe cannot be used; the message names the key and the values it takes."""


@dataclass
class Recipe:
    """Everything a training run depends on. `train.py --help` lists the keys with their defaults."""

    # model
    architecture: str = "resnet50-cnn"  # logistic, cnn, resnet50-cnn or vit-b16-cnn
    image_size: int = 160  # side of the model's input in pixels
    crop_fraction: float = 0.875  # share of the picture's shorter side that the model sees
    face_cut: str = "none"  # none: pictures are face crops; landmarks: the found face, levelled, as users' pictures are
    face_margin: float = 1.0  # of that cut: its side over FFHQ's
    trunk_stages: int = 3  # ResNet-50 stages in the trunk
    trunk_blocks: list[int] = field(default_factory=lambda: [5, 6, 7, 8, 9])  # of vit-b16-cnn, whose features count
    # Views of each picture (as it is, then augmented ones) that a trunk which does not learn is asked for once; only
    # the head then trains. 0 trains all of the model.
    frozen_views: int = 0
    # With frozen_views: the last so many of the trunk's blocks learn after all, by updates of low rank, from what goes
    # into them, which is kept on disk: 0.3 MB for each view of each picture. The block before them is in trunk_blocks.
    tuned_blocks: int = 0
    tuning_draws: int = 9600  # pictures that they learn from, one after the other
    # Once measured, train on the held-out pictures too: with frozen_views anew; else from the measured weights on, and
    # pictures for validation stay out.
    then_everything: bool = False
    everything_epochs: int = 0  # of that training, without frozen_views
    head_batch: int = 256  # features in a step of the head
    pooling: str = "none"  # what the fully connected layers see of the feature map: none (all of it) or average
    dropout: float = 0.3  # between fully connected layers
    batch_norm: str = "learn"  # "frozen" keeps BatchNorm's statistics as they start, and learns its scale and shift
    trunk_weights: str = "hub"  # a safetensors file, "hub" for timm's, or "none" for a random start
    teacher: str = ""  # the run folder of a recipe with frozen_views; its features and scores teach a resnet50-cnn
    start_from: str = ""  # a model folder or Hub id whose weights, trunk and head, training goes on from
    # data
    data: list[str] = field(default_factory=list)  # parquet files or globs, image folders, Hub datasets
    # What labels of the data mean that are numbers without names, in their order: [real, generated] or the reverse.
    labels: list[str] = field(default_factory=list)
    streaming: bool = False  # read training pictures as they are needed; `data` then names its own splits
    train_only: list[str] = field(default_factory=list)  # the same, for training alone; near duplicates stay out
    leave_out: str = ""  # a text file with the sha256 of pictures, one in a line, not to train on; held out they stay
    hold_out: list[str] = field(default_factory=list)  # sources or generators kept out as unseen
    split_fractions: list[float] = field(default_factory=lambda: [0.1, 0.2])  # validation and test share per source
    split_seed: int = 0  # apart from `seed`, so that several seeds share one split
    learn_all: bool = False  # train on all pictures but those for validation, whatever else would hold them out
    source_cap: int = 0  # train on at most so many pictures of a source, those with the smallest sha256; 0 for all
    source_balance: float = 0.5  # 0 draws a label's pictures uniformly, 1 its sources equally often
    matched: bool = False  # train also on copies that share size, sharpness, light and colour across labels
    augmentation: dict[str, Any] = field(default_factory=dict)  # changes to fakeface.delivery.augment.Augmentation
    # optimisation
    seed: int = 0  # of weights, dropout, augmentation and the order of pictures
    epochs: int = 6  # passes over `samples_per_epoch` pictures
    small_epochs: int = 0  # epochs at the start that show pictures at `small_size`: quicker, and coarse before fine
    small_size: int = 128  # side in pixels; the model must pool
    samples_per_epoch: int = 0  # draws in an epoch over all ranks; 0 for the size of the training split
    batch_size: int = 32  # per rank and step of accumulation
    gradient_accumulation: int = 1  # batches to a step of the optimiser
    learning_rate: float = 1e-3  # of the head
    trunk_learning_rate: float = 3e-4  # of the trunk's last stage
    trunk_decay: float = 1.0  # learning rate of a trunk stage over that of the next
    ema: float = 0.0  # decay of the moving average of the weights, which is then what is kept; 0 for none
    weight_decay: float = 0.05  # of AdamW; biases and BatchNorm have none
    warmup: float = 0.05  # share of all steps in which the learning rates rise
    label_smoothing: float = 0.05  # share of the other label in what is learned
    # Weight of the Kullback-Leibler divergence between a picture's scores without and with a delivery. Above 0 each
    # draw is shown both ways, at twice the time and memory, and `clean` of the augmentation has no part in it.
    consistency_weight: float = 0.0
    clip_norm: float = 5.0  # length that gradients are cut to
    # running
    output: str = "runs/fakeface"  # the run folder
    resume: bool = False  # go on from the newest checkpoint of the run folder
    mixed_precision: str = ""  # no, bf16 or fp16; empty takes what `accelerate launch` was told
    compile: bool = False  # the model by torch.compile: slow to start, faster then
    workers: int = 2  # processes that decode and augment, per rank
    threads: int = 0  # of a rank that computes on the CPU; 0 shares the cores among the ranks
    profile: bool = False  # print where a step's time goes, and write it to profile.json
    checkpoint_steps: int = 100  # optimiser steps between checkpoints
    keep_checkpoints: int = 2  # of a run; older ones are removed
    select_on: str = "auc"  # validation figure that picks the best epoch: auc or auc_delivered
    target_fpr: float = 0.01  # operating point of the calibrated model
    half: bool = False  # store the model folder's weights in 16 bits
    measure: bool = True  # score the held-out pictures at the end; false where something else does
    push_to_hub: str = ""  # repository to send the model to at the end, OWNER/NAME
    push_private: bool = False  # make a new repository private
    push_checkpoints: bool = False  # also send the best model so far to its branch `checkpoints`
    limit: int = 0  # use only this many pictures, spread over the data, to try a recipe; 0 for all

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise RecipeError(f"unknown architecture {self.architecture!r}: choose one of {known}")
        if self.select_on not in ("auc", "auc_delivered"):
            raise RecipeError(f"select_on is {self.select_on!r}: it takes auc or auc_delivered")
        try:
            stated_order(self.labels)
        except LabelsError as error:
            raise RecipeError(str(error)) from None
        if self.batch_norm not in ("learn", "frozen"):
            raise RecipeError(f"batch_norm is {self.batch_norm!r}: it takes learn or frozen")
        if self.mixed_precision not in ("", "no", "bf16", "fp16"):
            raise RecipeError(f"mixed_precision is {self.mixed_precision!r}: it takes no, bf16 or fp16")
        shares = self.split_fractions
        if len(shares) != 2 or not all(share >= 0 for share in shares) or not sum(shares) < 1:  # so NaN is refused
            raise RecipeError(f"split_fractions is {self.split_fractions}: two shares that leave some for training")
        for name in ("epochs", "batch_size", "gradient_accumulation", "checkpoint_steps", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if self.face_cut not in ("none", "landmarks"):
            raise RecipeError(f"face_cut is {self.face_cut!r}: it takes none or landmarks")
        if (self.architecture == "vit-b16-cnn") != bool(self.frozen_views):
            raise RecipeError(
                f"frozen_views is {self.frozen_views}: vit-b16-cnn takes at least 1, since its trunk does not learn, "
                "and other architectures take 0"
            )
        if bool(self.everything_epochs) != (self.then_everything and not self.frozen_views):
            raise RecipeError(
                f"everything_epochs is {self.everything_epochs}: then_everything takes at least 1 without "
                "frozen_views, and nothing else takes any"
            )
        if self.learn_all and (self.hold_out or self.then_everything):
            raise RecipeError("learn_all goes with neither hold_out nor then_everything: there is nothing held out")
        if self.tuned_blocks and (
            not self.frozen_views or self.trunk_blocks[-1] - self.tuned_blocks not in self.trunk_blocks
        ):
            raise RecipeError(
                f"tuned_blocks is {self.tuned_blocks}: it takes frozen_views and, in trunk_blocks, the block before"
            )
        if self.teacher and (self.architecture != "resnet50-cnn" or self.consistency_weight or self.compile):
            raise RecipeError("teacher takes architecture: resnet50-cnn, without consistency_weight and compile")
        if self.streaming and (self.face_cut != "none" or self.frozen_views):
            raise RecipeError(
                "streaming takes neither face_cut: landmarks nor frozen_views: both need the pictures at hand"
            )
        for name in (
            "everything_epochs",
            "threads",
            "workers",
            "small_epochs",
            "frozen_views",
            "tuned_blocks",
            "tuning_draws",
            "source_cap",
        ):
            if getattr(self, name) < 0:
                raise RecipeError(f"{name} is {getattr(self, name)}: it must be at least 0")
        if self.small_epochs and self.pooling == "none":
            raise RecipeError("small_epochs needs pooling: average; without, a model takes pictures of one size only")
        at_hand = self.train_only or self.leave_out or self.hold_out or self.matched or self.limit or self.teacher
        at_hand = at_hand or self.learn_all or self.then_everything
        if self.streaming and (len(self.data) != 1 or at_hand):
            raise RecipeError(
                "streaming takes one dataset in `data`, and no train_only, leave_out, hold_out, learn_all, "
                "then_everything, matched, limit or teacher"
            )
        if not 0 <= self.ema < 1:
            raise RecipeError(f"ema is {self.ema}: it takes a number from 0 up to, not including, 1")
        if not 0 < self.crop_fraction <= 1:
            raise RecipeError(f"crop_fraction is {self.crop_fraction}: it takes a number above 0, up to 1")
        if not 0 < self.trunk_decay < math.inf:
            raise RecipeError(f"trunk_decay is {self.trunk_decay}: it must be above 0")
        for name, (low, high) in RANGES.items():
            if not low <= (value := getattr(self, name)) <= high:  # NaN is in no range
                raise RecipeError(f"{name} is {value}: it takes a number from {low:,} to {high:,}")
        known = {f.name for f in dataclasses.fields(Augmentation)}
        _refuse_unknown(self.augmentation, known, "augmentation")
        for key, value in self.augmentation.items():
            ranged = isinstance(getattr(Augmentation, key), tuple)
            numbers = value if ranged and isinstance(value, list) else [value]
            if len(numbers) != 1 + ranged or not all(type(number) in (int, float) for number in numbers):
                form = "two numbers, lowest and highest" if ranged else "a number"
                raise RecipeError(f"augmentation key {key!r} is {value!r}: it takes {form}")
            low, high = AUGMENTATION_RANGES.get(key, (0, 10**6))
            if not all(low <= number <= high for number in numbers) or numbers != sorted(numbers):
                raise RecipeError(f"augmentation key {key!r} is {value!r}: numbers go up, from {low:,} to {high:,}")

    def split_options(self) -> dict[str, Any]:
        """Keyword arguments of `fakeface.data.loading.prepare_splits`: the same recipe, the same splits."""
        validation, test = self.split_fractions
        return {
            "hold_out": self.hold_out,
            "learn_all": self.learn_all,
            "fractions": (validation, test),
            "seed": self.split_seed,
            "workers": max(1, self.workers),
        }

    def augmentation_settings(self) -> Augmentation:
        """`Augmentation` with the recipe's changes; YAML lists become ranges."""
        changes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in self.augmentation.items()}
        return Augmentation(**changes)


def parse_recipe(arguments: list[str] | None = None, description: str | None = None) -> Recipe:
    """A recipe from `[RECIPE.yaml] [--key value …]`; the command line wins over the file.

    Raises:
        RecipeError: an unknown key, a value of the wrong type, or a file that is not a recipe.
    """
    parser = argparse.ArgumentParser(
        usage="%(prog)s [RECIPE.yaml] [--key value …]",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("recipe", nargs="?", type=Path, help="YAML recipe")
    told, groups = explanations(), {}
    for f in dataclasses.fields(Recipe):
        default = f.default if f.default is not dataclasses.MISSING else f.default_factory()  # type: ignore[misc]
        kind = Recipe.__annotations__[f.name]
        heading, words = told[f.name]
        if heading not in groups:
            groups[heading] = parser.add_argument_group(heading)
        options: dict[str, Any] = {"dest": f.name, "help": f"{words} (default: {default!r})".replace("%", "%%")}
        if typing.get_origin(kind) is list:
            options["nargs"] = "+"
        elif kind is bool:
            options.update(nargs="?", const="true")
        groups[heading].add_argument("--" + f.name.replace("_", "-"), **options)
    found, unknown = parser.parse_known_args(arguments)
    given = vars(found)
    if unknown:
        flags = ["--" + name.replace("_", "-") for name in given]
        raise _unknown("argument", unknown[0].partition("=")[0], flags)
    path = given.pop("recipe")
    values = read_recipe(path) if path else {}
    values.update({key: value for key, value in given.items() if value is not None})
    return build_recipe(values)


def explanations() -> dict[str, tuple[str, str]]:
    """The heading that each key of `Recipe` stands below, and what the comments above and beside it say of it."""
    found: dict[str, tuple[str, str]] = {}
    heading, above = "", []
    for line in map(str.strip, inspect.getsource(Recipe).splitlines()):
        if line.startswith("def "):
            break
        if line.startswith("# "):
            above.append(line[2:])
        elif key := re.match(r"(\w+): .+?(?:  # (.*))?$", line):
            if above and " " not in above[0]:  # a word alone
                heading, *above = above
            found[key[1]] = (heading, " ".join([*above, *([key[2]] if key[2] else [])]))
            above = []
    return found


def training_of(model: Path) -> dict[str, Any]:
    """The `run.json` of the run that made a model folder; empty where it does not tell. Raises RecipeError."""
    record = model / TRAINING_RECORD
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        return {**found, "recipe": dict(found["recipe"])}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecipeError(f"{record}: not a training record ({error!r}); name the recipe with --recipe") from error


def recipe_of(model: Path) -> dict[str, Any]:
    """The keys and values a model folder was trained with; empty where it does not tell. Raises RecipeError."""
    return training_of(model).get("recipe", {})


def read_recipe(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML recipe, unchecked; raises RecipeError for a file that holds none."""
    try:
        values = _parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path}: not a readable YAML recipe ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: a recipe is a list of `key: value` lines")
    return values


def build_recipe(values: dict[str, Any]) -> Recipe:
    """A checked recipe from keys and values; strings, as the command line gives them, are read as YAML scalars."""
    fields = {f.name for f in dataclasses.fields(Recipe)}
    _refuse_unknown(values, fields, "recipe")
    return Recipe(**{key: _convert(key, value, Recipe.__annotations__[key]) for key, value in values.items()})


def named_pictures(file: str | Path) -> set[str]:
    """The sha256 that a text file has in each line; what follows a # is a comment.

    Raises:
        RecipeError: the file cannot be read, or a line holds something else.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file} cannot be read as text ({error})") from None
    words = {number: line.partition("#")[0].strip() for number, line in enumerate(lines, 1)}
    for number, word in words.items():
        if word and not SHA256.fullmatch(word):
            raise RecipeError(f"line {number} of {file} is {word[:80]!r}; it takes 64 hexadecimal digits")
    return {word.lower() for word in words.values() if word}


def as_float(value: Any) -> Any:
    """A whole number as a float; whatever else it is, and what no float can hold, as it is."""
    with contextlib.suppress(OverflowError):
        return float(value) if type(value) is int else value
    return value


def _parse(text: str) -> Any:
    """What a YAML text says. Raises ValueError."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, LookupError, AttributeError, TypeError, RecursionError) as error:
        # Its own error is not all that the parser raises: a date of month 13 is a ValueError, `!!int ""` an IndexError.
        raise ValueError(str(error)) from error


def _refuse_unknown(values: Iterable[Any], known: Collection[str], where: str) -> None:
    for key in values:
        if key not in known:
            raise _unknown(f"{where} key", key, known)


def _unknown(what: str, name: Any, known: Collection[str]) -> RecipeError:
    near = difflib.get_close_matches(str(name), known, n=1)
    return RecipeError(f"unknown {what} {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _convert(key: str, value: Any, kind: Any) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        items = value if isinstance(value, list) else [value]
        return [_convert(key, item, inner[0]) for item in items]
    target = origin or kind
    if isinstance(value, str) and target is not str:
        with contextlib.suppress(ValueError):  # no YAML, so a string, which is refused below
            value = _parse(value)
        # YAML 1.1 reads 1e-3, without a dot, as a string.
        if isinstance(value, str) and target in (float, int):
            with contextlib.suppress(ValueError):
                value = float(value)
    value = as_float(value) if target is float else value
    if type(value) is not target:
        name = target.__name__ if isinstance(target, type | types.GenericAlias) else str(target)
        raise RecipeError(f"{key} is {value!r}: it takes a value of type {name}")
    return value
