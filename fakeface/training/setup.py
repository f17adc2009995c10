"""What is trained, and with what: the accelerator, the model, its moving average, the optimiser and its schedule."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import DistributedType, InitProcessGroupKwargs
from timm.data.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from timm.utils.model_ema import ModelEmaV3
from torch import nn
from transformers import get_cosine_schedule_with_warmup

from ..configuration_fakeface import FakeFaceConfig
from ..image_processing_fakeface import FakeFaceImageProcessor
from ..model_folder.opening import ModelFolderError, load_model_folder
from ..modeling_fakeface import TRUNKS, FakeFaceForImageClassification
from ..recipe import Recipe, RecipeError
from ..utils.processes import usable_cores
from .checkpoints import newest_checkpoint
from .trunk import load_trunk

SHARDED = (DistributedType.FSDP, DistributedType.DEEPSPEED)  # launchers that share the weights out over the ranks
TRUNK_LAYER = re.compile(r"\btrunk\.(?:layer(\d))?")


def build_accelerator(recipe: Recipe) -> Accelerator:
    """accelerate's view of processes, devices and precision.

    Raises:
        RecipeError: the launcher's configuration asks for FSDP or DeepSpeed, and accelerate passes over it.
    """
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision or None,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        log_with="tensorboard",
        project_dir=recipe.output,
        dataloader_config=DataLoaderConfiguration(non_blocking=True),
        # The others wait while rank 0 checks and matches the pictures, longer than the usual 10 or 30 minutes.
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(days=1))],
    )
    for kind in SHARDED:
        if os.environ.get(f"ACCELERATE_USE_{kind.value}") == "true" and accelerator.distributed_type != kind:
            raise RecipeError(
                f"{kind.value} was asked for, but accelerate has it on GPUs only and would go on without; "
                "launch with configs/accelerate/cpu-two-ranks.yaml on CPUs"
            )
    if plugin := accelerator.state.deepspeed_plugin:  # it would ask a data loader prepared together with the model
        plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = recipe.batch_size
    return accelerator


def share_cores(recipe: Recipe, accelerator: Accelerator) -> None:
    """On a CPU: `accelerate launch` leaves each rank one thread, whatever the machine has."""
    if accelerator.device.type == "cpu":
        cores = usable_cores()
        torch.set_num_threads(recipe.threads or max(1, cores // accelerator.num_processes))


def build_model(recipe: Recipe, accelerator: Accelerator) -> FakeFaceForImageClassification:
    """The model at its start, in memory as channels last where its weights stay whole.

    Raises:
        RecipeError: `small_size` is not one that the model takes, or `start_from` is a model of another make.
    """
    cut = {} if recipe.face_cut == "none" else {"face_cut": recipe.face_cut, "face_margin": recipe.face_margin}
    config = FakeFaceConfig(
        architecture=recipe.architecture,
        image_size=recipe.image_size,
        trunk_stages=recipe.trunk_stages,
        trunk_blocks=recipe.trunk_blocks if recipe.architecture == "vit-b16-cnn" else None,
        pooling=recipe.pooling,
        dropout=recipe.dropout,
        **cut,
    )
    if recipe.small_epochs and recipe.small_size % config.downsampling:
        raise RecipeError(f"small_size is {recipe.small_size}: this model takes a multiple of {config.downsampling}")
    model = FakeFaceForImageClassification(config)
    if recipe.start_from:
        if not (recipe.resume and newest_checkpoint(Path(recipe.output))):  # which has later weights
            load_start(model, recipe)
            accelerator.print(f"weights from {recipe.start_from}")
    elif recipe.architecture in TRUNKS and recipe.trunk_weights != "none":
        accelerator.print(load_trunk(model, recipe.trunk_weights))
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        # Statistics of all ranks' pictures, so that two ranks of 16 train as one of 32; CPUs have no such layer.
        model = cast(FakeFaceForImageClassification, nn.SyncBatchNorm.convert_sync_batchnorm(model))
    if accelerator.distributed_type == DistributedType.FSDP:  # takes contiguous weights only
        # accelerate asks for the embeddings of a language model; transformers raises where there are none.
        model.get_input_embeddings = lambda: None  # type: ignore[method-assign]
        return model
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def build_processor(recipe: Recipe) -> FakeFaceImageProcessor:
    """The image processor of the recipe's model: its trunk's statistics, for pretrained weights expect them."""
    statistics = {}
    if recipe.architecture == "vit-b16-cnn":
        statistics = {"image_mean": OPENAI_CLIP_MEAN, "image_std": OPENAI_CLIP_STD}
    return FakeFaceImageProcessor(size=recipe.image_size, crop_fraction=recipe.crop_fraction, **statistics)


def load_start(model: FakeFaceForImageClassification, recipe: Recipe) -> None:
    """Take all weights from a model folder; its calibration stays behind, since training makes it void.

    Raises:
        RecipeError: there is no such folder, its model is of another make, or it is shown pictures otherwise.
    """
    name = recipe.start_from
    try:
        found, processor = load_model_folder(name)
    except ModelFolderError as error:
        raise RecipeError(f"start_from: {error}") from None
    fresh = build_processor(recipe)
    for key in ("crop_fraction", "image_mean", "image_std"):
        if (its := getattr(processor, key)) != (own := getattr(fresh, key)):
            raise RecipeError(f"start_from: {name} was trained with {key} {its}, and this run would take {own}")
    weights = {key: tensor for key, tensor in found.state_dict().items() if ".familiar." not in key}  # learned anew
    own, its = ({key: tensor.shape for key, tensor in one.items()} for one in (model.state_dict(), weights))
    if own != its:
        kind = found.config
        told = (
            f"a {kind.architecture} at {kind.image_size} px, trunk_stages {kind.trunk_stages}, pooling {kind.pooling}"
        )
        raise RecipeError(f"start_from: {name} is {told}, and its weights do not fit the recipe's; make them the same")
    model.load_state_dict(weights)


def weight_average(recipe: Recipe, model: nn.Module, accelerator: Accelerator) -> ModelEmaV3 | None:
    """The exponential moving average of the weights that is validated and kept, where the recipe asks for one.

    It is made before accelerate wraps the model's forward, which a copy would call. Prepared like the model, it stands
    in every checkpoint.

    Raises:
        RecipeError: the launcher shares out the weights.
    """
    if not recipe.ema:
        return None
    if accelerator.distributed_type in SHARDED:
        raise RecipeError(
            f"ema is {recipe.ema}: the moving average needs whole weights on every rank; set it to 0 here"
        )
    average = ModelEmaV3(model, decay=recipe.ema, use_warmup=True)
    average.module = accelerator.prepare_model(average.module, evaluation_mode=True)
    return average


def train_mode(model: nn.Module, recipe: Recipe) -> None:
    """Have layers behave as in training, but BatchNorms where their statistics are frozen."""
    model.train()
    if recipe.batch_norm == "frozen":
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):  # the base of all its kinds, timm's too
                module.eval()


def unwrap(accelerator: Accelerator, model: nn.Module) -> FakeFaceForImageClassification:
    # The wrapper stays: without it the model would go on training in 32 bits after the first save.
    return accelerator.unwrap_model(model, keep_torch_compile=False)  # type: ignore[return-value]


def whole_model(accelerator: Accelerator, model: nn.Module) -> FakeFaceForImageClassification:
    """The model to save. Every rank has to ask, since its weights may be shared out; rank 0 gets all of them."""
    plain = unwrap(accelerator, model)
    if accelerator.distributed_type in SHARDED:
        state = accelerator.get_state_dict(model)
        plain = FakeFaceForImageClassification(plain.config)
        if accelerator.is_main_process:
            plain.load_state_dict(state)
    return plain


def build_optimizer(
    recipe: Recipe, model: FakeFaceForImageClassification, steps_per_epoch: int, teacher: nn.Module | None = None
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW, and a cosine schedule over all optimiser steps; for what learns of a teacher beside the model too."""
    groups = parameter_groups(model, recipe)
    if teacher:
        groups.append({"params": list(teacher.parameters()), "lr": recipe.learning_rate})
    optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, fused=True)
    steps = steps_per_epoch * recipe.epochs
    return optimizer, get_cosine_schedule_with_warmup(optimizer, round(recipe.warmup * steps), steps)


def parameter_groups(model: FakeFaceForImageClassification, recipe: Recipe) -> list[dict[str, Any]]:
    """Trunk stages and head with their learning rates; biases and BatchNorm without weight decay (He et al., 2019)."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        rate = recipe.learning_rate
        if layer := TRUNK_LAYER.search(name):  # the stem has no number and counts as stage 0
            rate = recipe.trunk_learning_rate * recipe.trunk_decay ** (recipe.trunk_stages - int(layer[1] or 0))
        groups.setdefault((rate, parameter.ndim > 1), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, **({} if decays else {"weight_decay": 0.0})}
        for (rate, decays), parameters in groups.items()
    ]


__all__ = [
    "SHARDED",
    "build_accelerator",
    "build_model",
    "build_optimizer",
    "build_processor",
    "load_start",
    "parameter_groups",
    "share_cores",
    "train_mode",
    "unwrap",
    "weight_average",
    "whole_model",
]
