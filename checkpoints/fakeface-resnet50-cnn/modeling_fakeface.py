"""The fakeface models: logistic, cnn, and two trunks with a convolutional head, resnet50-cnn and vit-b16-cnn."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithNoAttention, ImageClassifierOutputWithNoAttention
from transformers.utils import logging

from .configuration_fakeface import VIT_WIDTH, FakeFaceConfig

TRUNKS = {"resnet50-cnn": "resnet50", "vit-b16-cnn": "vit_base_patch16_clip_quickgelu_224"}  # timm's names
TRUNK_CHANNELS = (256, 512, 1024, 2048)
# The second block halves the map, so that the fully connected layer behind it stays small.
BLOCK_STRIDES = (1, 2, 1, 1)
WATCHED = 64  # pictures of a training whose labels are compared with what the weights know

logger = logging.get_logger(__name__)


class _OnePicture:
    """A BatchNorm that also takes a single value of each channel while it trains, the last batch of an epoch.

    Such a batch has no variance. Its values are brought in line by the running statistics, which it leaves alone.
    """

    def forward(self, input: Tensor) -> Tensor:
        norm: Any = self
        if norm.training and input.numel() == input.shape[1]:
            statistics = norm.running_mean, norm.running_var
            return nn.functional.batch_norm(input, *statistics, norm.weight, norm.bias, training=False, eps=norm.eps)
        return super().forward(input)  # type: ignore[misc]


class BatchNorm1d(_OnePicture, nn.BatchNorm1d):
    pass


class BatchNorm2d(_OnePicture, nn.BatchNorm2d):
    pass


def float_type(module: nn.Module) -> torch.dtype:
    """The floating point type of the first weight of a convolution or linear layer.

    Not `self.dtype`, which asks for parameters: a replica of `nn.DataParallel` has none.
    """
    weights = (layer.weight for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
    return next((weight.dtype for weight in weights if weight.is_floating_point()), torch.float32)


def conv_relu(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the side (before its stride), then ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2)
    return nn.Sequential(conv, nn.ReLU(inplace=True))


def conv_block(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """(Conv, Conv, Conv, Conv, BatchNorm); the first, 1x1 where it narrows, spares a 3x3 over all trunk channels."""
    narrows = out_channels < in_channels
    return nn.Sequential(
        OrderedDict(
            conv1=conv_relu(in_channels, out_channels, kernel_size=1 if narrows else 3),
            conv2=conv_relu(out_channels, out_channels, stride=stride),
            conv3=conv_relu(out_channels, out_channels),
            conv4=conv_relu(out_channels, out_channels),
            norm=BatchNorm2d(out_channels),
        )
    )


class Int8Linear(nn.Module):
    """A linear layer whose matrix is kept in 8 bits: row i of it is `scale[i]` times row i of `weight`.

    For inference: the matrix is multiplied out in each call, and takes no gradient. `to_linear` does so once for all.
    """

    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(out_features, in_features, dtype=torch.int8), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(out_features), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(out_features))

    @classmethod
    def from_linear(cls, linear: nn.Linear) -> "Int8Linear":
        """Round each row of a matrix to 127 steps of either sign; a matrix that was made of 8 bits so comes back."""
        kept = cls(linear.in_features, linear.out_features)
        rows = linear.weight.detach().float()
        scale = (rows.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        kept.weight.data = (rows / scale[:, None]).round().to(torch.int8)
        kept.scale.data, kept.bias.data = scale, linear.bias.detach().clone()
        return kept

    def to_linear(self) -> nn.Linear:
        """The same layer with its matrix multiplied out, in the type of the bias."""
        linear = nn.Linear(self.weight.shape[1], self.weight.shape[0], dtype=self.bias.dtype, device=self.bias.device)
        linear.weight.data, linear.bias.data = self.matrix(), self.bias.detach().clone()
        return linear

    def matrix(self) -> Tensor:
        """(out_features, in_features), in the type of the bias."""
        return (self.weight.float() * self.scale.float()[:, None]).to(self.bias.dtype)

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.linear(inputs, self.matrix(), self.bias)


def squared_rest(average: Tensor, directions: Tensor | None = None) -> Tensor:
    """Mean over the channels of the square of what is left of averages of a feature map: float32 (batch,).

    What lies in `directions`, in which photographs differ as well, is left out: the principal components of the
    training pictures are taken off (Jackson and Mudholkar, Technometrics 1979).

    Args:
        average: float32 (batch, channels), of mean 0 and variance 1 over the training pictures.
        directions: (directions, channels), orthonormal.
    """
    left = average.square().sum(1)
    if directions is not None:
        left = left - (average @ directions.float().T).square().sum(1)
    return left / average.shape[1]


class Familiar(nn.Module):
    """How far pictures are from those of the training, by the feature map of a trunk that has learned.

    Buffers: `mean` and `deviation` of the averages of the map over the training pictures, (channels,), and
    `directions`, (directions, channels), as of `squared_rest`.
    """

    mean: Tensor
    deviation: Tensor
    directions: Tensor

    def __init__(self, channels: int, directions: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))
        self.register_buffer("directions", torch.zeros(directions, channels))

    def forward(self, feature_map: Tensor) -> Tensor:
        average = (feature_map.float().mean((2, 3)) - self.mean.float()) / self.deviation.float()
        return squared_rest(average, self.directions)


class TransformerTrunk(nn.Module):
    """The lower blocks of a vision transformer as a feature map, (batch, channels, side / 16, side / 16).

    Of every block in `trunk_blocks` the map has the patches and, the same in every place, the class token: so what
    follows sees both, and an average over the map leaves both as they are. Each channel is brought to mean 0 and
    variance 1 over the training pictures; the blocks' own scales differ a hundredfold.
    """

    directions: Tensor  # with `config.familiar_directions`: that many, (directions, channels), orthonormal

    def __init__(self, config: FakeFaceConfig):
        super().__init__()
        self.blocks = list(config.trunk_blocks or [])
        # Sides other than 224 get interpolated position embeddings.
        self.vit: Any = timm.create_model(
            TRUNKS["vit-b16-cnn"], pretrained=False, num_classes=0, depth=self.blocks[-1], dynamic_img_size=True
        )
        self.vit.norm = nn.Identity()  # it belongs behind the last block of all
        if config.trunk_bits == 8:
            keep_in_int8(self.vit)
        self.norm = BatchNorm2d(self.channels, affine=False)
        if config.familiar_directions:
            self.register_buffer("directions", torch.zeros(config.familiar_directions, self.channels))

    @property
    def channels(self) -> int:
        return 2 * VIT_WIDTH * len(self.blocks)

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.norm(self.raw(pixel_values))

    def distance(self, feature_map: Tensor) -> Tensor:
        """How far pictures are from those of the training, float32 (batch,), from maps as `forward` gives them."""
        return squared_rest(feature_map.float().mean((2, 3)), getattr(self, "directions", None))

    def raw(self, pixel_values: Tensor) -> Tensor:
        """The feature map before its channels are standardised."""
        wanted = [block - 1 for block in self.blocks]
        found = self.vit.forward_intermediates(
            pixel_values, indices=wanted, return_prefix_tokens=True, intermediates_only=True
        )
        maps = [patches for patches, _ in found]
        tokens = [token[:, 0, :, None, None].expand_as(patches) for patches, token in found]
        return torch.cat([*maps, *tokens], dim=1)


def keep_in_int8(module: nn.Module) -> None:
    """Replace all linear layers inside by `Int8Linear`, in place."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, Int8Linear.from_linear(child))


@dataclass
class FakeFaceModelOutput(BaseModelOutputWithNoAttention):
    """A feature map, and with `config.familiar_distance` how far each face is from those of the training, (batch,)."""

    distance: Tensor | None = None


@dataclass
class FakeFaceClassifierOutput(ImageClassifierOutputWithNoAttention):
    """Logits, and with `config.familiar_distance` how far each face is from those of the training, (batch,)."""

    distance: Tensor | None = None


class FakeFacePreTrainedModel(PreTrainedModel):
    config: FakeFaceConfig
    config_class = FakeFaceConfig
    base_model_prefix = "fakeface"
    main_input_name = "pixel_values"
    input_modalities = ("image",)  # type: ignore[assignment]
    _no_split_modules = ["FakeFaceModel"]
    # 16-bit running statistics overflow or lose digits; weights of BatchNorm are few. Scales of `Int8Linear` are too.
    _keep_in_fp32_modules_strict = ["bn1", "bn2", "bn3", "downsample.1", "norm", "scale", "familiar"]
    # Recomputing a block would count its pictures twice in BatchNorm's statistics; transformers says so.
    supports_gradient_checkpointing = False

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Kaiming initialisation (He et al., 2015); transformers' default, std 0.02, starves a 16-layer head."""
        if module is getattr(getattr(self, "classifier", None), "out", None):
            init.normal_(module.weight, std=0.01)  # start undecided: both classes near one half  # pyright: ignore
            init.zeros_(module.bias)  # pyright: ignore
        elif isinstance(module, nn.Conv2d | nn.Linear):
            init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            if module.affine:
                init.ones_(module.weight)
                init.zeros_(module.bias)
            init.zeros_(module.running_mean)  # type: ignore[arg-type]
            init.ones_(module.running_var)  # type: ignore[arg-type]
            init.zeros_(module.num_batches_tracked)  # type: ignore[arg-type]


class FakeFaceModel(FakeFacePreTrainedModel):
    """Pixels to feature map: everything of a fakeface model in front of its fully connected layers."""

    trunk: Any  # timm's stages of a ResNet-50, or a `TransformerTrunk`; the others have none

    def __init__(self, config: FakeFaceConfig):
        super().__init__(config)
        widths = list(config.conv_widths or [])
        if config.architecture == "logistic":
            self.blocks = nn.Sequential()
        elif config.architecture == "cnn":
            layers: list[nn.Module] = []
            for in_channels, out_channels in zip([3, *widths], widths, strict=False):
                layers += [conv_relu(in_channels, out_channels), conv_relu(out_channels, out_channels), nn.MaxPool2d(2)]
            self.blocks = nn.Sequential(*layers)
        elif config.architecture == "vit-b16-cnn":
            self.trunk = TransformerTrunk(config)
            # 1x1 and without an activation: the patches have seen each other in the trunk, and so the head can be
            # trained on averages of the map, which are the same behind such a convolution as before it.
            self.blocks = nn.Sequential(nn.Conv2d(self.trunk.channels, widths[0], 1))
        else:
            stage = config.trunk_stages
            name = TRUNKS[config.architecture]
            self.trunk = timm.create_model(name, pretrained=False, features_only=True, out_indices=[stage])
            channels = [TRUNK_CHANNELS[stage - 1], *widths]
            if config.familiar_directions:
                self.familiar = Familiar(channels[0], config.familiar_directions)
            self.blocks = nn.Sequential(
                *(conv_block(*block) for block in zip(channels, widths, BLOCK_STRIDES, strict=False))
            )
        self.post_init()

    @property
    def feature_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the feature map."""
        side = self.config.image_size // self.config.downsampling
        return (self.config.conv_widths[-1] if self.config.conv_widths else 3, side, side)

    def distance(self, hidden: Tensor) -> Tensor | None:
        """How far pictures are from those of the training, float32 (batch,), by the trunk's map; see `squared_rest`.

        `None` where the config has no `familiar_distance`.
        """
        if self.config.familiar_distance is None:
            return None
        return (self.familiar if self.config.architecture == "resnet50-cnn" else self.trunk.distance)(hidden)

    def forward(
        self,
        pixel_values: Tensor,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs,
    ):
        """Compute the feature map.

        Args:
            pixel_values: float tensor (batch, 3, image_size, image_size) from `FakeFaceImageProcessor`. A model that
                pools also takes squares of other multiples of `config.downsampling`; it was trained for this one.
            output_hidden_states: also return `hidden_states`; by default as the config says.

        Returns:
            `last_hidden_state`: the feature map, (batch, *feature_shape). `hidden_states`, on request: what the head's
            first layer takes (the trunk's map, or the pixels) and what each of its layers up to the map gives.
            `distance`, where the config has a `familiar_distance`, as of the method.

        Raises:
            ValueError: the pixels are not (batch, 3, image_size, image_size).
        """
        size, step = self.config.image_size, self.config.downsampling
        if self.config.pooling != "none" and pixel_values.ndim == 4 and not pixel_values.shape[-1] % step:
            size = max(pixel_values.shape[-1], step)
        if pixel_values.ndim != 4 or tuple(pixel_values.shape[1:]) != (3, size, size):
            raise ValueError(
                f"pixel_values is {tuple(pixel_values.shape)}: this model takes (batch, 3, {size}, {size}), "
                "as its own image processor makes them"
            )
        hidden = pixel_values
        if len(self.blocks):  # logistic has none, hence no dtype of its own
            hidden = hidden.to(float_type(self.blocks))
        if self.config.architecture == "resnet50-cnn":
            hidden = self.trunk(hidden)[-1]
        elif self.config.architecture == "vit-b16-cnn":
            hidden = self.trunk(hidden)
        distance = self.distance(hidden)
        if self.config.output_hidden_states if output_hidden_states is None else output_hidden_states:
            states = [hidden]
            for block in self.blocks:
                states.append(block(states[-1]))
            output = FakeFaceModelOutput(states[-1], hidden_states=tuple(states), distance=distance)
        else:  # nothing of what lies between is kept
            output = FakeFaceModelOutput(self.blocks(hidden), distance=distance)
        return output.to_tuple() if return_dict is False else output


class FakeFaceForImageClassification(FakeFacePreTrainedModel):
    """A fakeface model with its fully connected layers; two logits, `real` and `generated`, already calibrated.

    Fine-tuned to other labels it has a logit for each, uncalibrated. Calibration and thresholds hold for the weights
    they were fitted to, so the first step of a training resets them: `fakeface calibrate` fits them anew.
    """

    def __init__(self, config: FakeFaceConfig):
        config.settle_labels()
        super().__init__(config)
        self._watched: list[bool] | None = None  # whether labels agreed with the weights that a training started from
        self.num_labels = config.num_labels
        self.fakeface = FakeFaceModel(config)
        self.classifier = self._classifier(*self.fakeface.feature_shape)
        self.post_init()

    def _classifier(self, channels: int, height: int, width: int) -> nn.Sequential:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        features = channels * height * width
        if self.config.pooling == "average":
            layers["pool"], features = nn.AdaptiveAvgPool2d(1), channels
        layers["flatten"] = nn.Flatten()
        if self.config.architecture == "vit-b16-cnn":  # its block has no activation of its own
            layers["relu0"], layers["dropout0"] = nn.ReLU(inplace=True), nn.Dropout(self.config.dropout)
        widths = list(self.config.fc_widths or [])
        for i, units in enumerate(widths, start=1):
            layers[f"fc{i}"] = nn.Linear(features, units)
            if self.config.architecture == "resnet50-cnn" and i < len(widths):
                layers[f"norm{i}"] = BatchNorm1d(units)
            layers[f"relu{i}"] = nn.ReLU(inplace=True)
            layers[f"dropout{i}"] = nn.Dropout(self.config.dropout)
            features = units
        layers["out"] = nn.Linear(features, self.num_labels)  # type: ignore[arg-type]
        return nn.Sequential(layers)

    def classify(self, feature_map: Tensor) -> Tensor:
        """Calibrated logits, float32 (batch, 2), from `FakeFaceModel`'s feature map (batch, *feature_shape)."""
        logits = self.classifier(feature_map.to(float_type(self.classifier))).float() / self.config.temperature
        if not self.config.bias:  # as in all models of other labels
            return logits
        return logits + logits.new_tensor([0.0, self.config.bias])

    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs,
    ):
        """Classify pictures.

        Args:
            pixel_values: float tensor (batch, 3, image_size, image_size) from `FakeFaceImageProcessor`.
            labels: integer tensor (batch,), 0 real and 1 generated, as `config.label2id` has them; when given, the
                output has a `loss`: the cross-entropy, or what `config.problem_type` asks for.
            output_hidden_states: also return the `hidden_states` of `FakeFaceModel`; by default as the config says.

        Returns:
            `logits`: float32 tensor (batch, 2). They are calibrated: softmax over them is the score, so that
            `pipeline("image-classification")` states the same number as `Detector`. `distance` as of `FakeFaceModel`.

        Raises:
            ValueError: a label is none of `config.label2id`.
        """
        if self.training and torch.is_grad_enabled() and self.config.is_calibrated:
            self._watched = []
            self.config.reset_calibration()
            logger.warning("training starts: calibration and thresholds are reset; fit them anew when it is done")
        features = self.fakeface(pixel_values, output_hidden_states=output_hidden_states, return_dict=True)
        logits = self.classify(features.last_hidden_state)
        loss = None
        if labels is not None:
            if self.num_labels == 1 or self.config.problem_type in ("regression", "multi_label_classification"):
                labels = labels.float()
            elif not labels.is_floating_point():
                labels = labels.long()
                self._look_at_labels(labels, logits)
            loss = self.loss_function(labels, logits, self.config, **kwargs)
        output = FakeFaceClassifierOutput(loss, logits, features.hidden_states, distance=features.distance)
        return output.to_tuple() if return_dict is False else output

    def _look_at_labels(self, labels: Tensor, logits: Tensor) -> None:
        """Refuse numbers that are not labels, and warn where those of a training contradict what the weights know.

        A dataset that numbers its labels by the alphabet has `generated` as 0. What is seen here are numbers alone;
        but a trained model agrees with most of them, and with few if they are swapped.
        """
        if labels.ndim == 1 and labels.device.type == "cpu":  # elsewhere a look would hold up the device at each step
            wrong = labels[((labels < 0) & (labels != -100)) | (labels >= self.num_labels)]  # pyright: ignore
            if len(wrong):
                raise ValueError(f"labels has {int(wrong[0])}: this model takes {self.config.label2id}")
        if self._watched is None:
            return
        self._watched += (logits.detach().argmax(-1) == labels).tolist()
        if len(self._watched) >= WATCHED:
            if sum(self._watched) < len(self._watched) / 4:
                logger.warning(
                    "labels contradict this model for %d of the first %d pictures: are they numbered in another order "
                    "than %s? dataset.align_labels_with_mapping(model.config.label2id, 'label') maps them by name",
                    len(self._watched) - sum(self._watched),
                    len(self._watched),
                    self.config.label2id,
                )
            self._watched = None


FakeFaceModel.register_for_auto_class("AutoModel")
FakeFaceForImageClassification.register_for_auto_class("AutoModelForImageClassification")

__all__ = [
    "FakeFaceForImageClassification",
    "FakeFaceModel",
    "FakeFacePreTrainedModel",
    "Familiar",
    "Int8Linear",
    "TransformerTrunk",
    "keep_in_int8",
    "squared_rest",
]
