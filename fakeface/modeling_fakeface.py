"""The fakeface models: logistic, cnn and resnet50-cnn (a ResNet-50 trunk with a convolutional head)."""

from collections import OrderedDict

import timm
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithNoAttention, ImageClassifierOutputWithNoAttention

from .configuration_fakeface import FakeFaceConfig

TRUNK = "resnet50"
TRUNK_CHANNELS = (256, 512, 1024, 2048)
# The second block halves the map, so that the fully connected layer behind it stays small.
BLOCK_STRIDES = (1, 2, 1, 1)


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
            norm=nn.BatchNorm2d(out_channels),
        )
    )


class FakeFacePreTrainedModel(PreTrainedModel):
    config: FakeFaceConfig
    config_class = FakeFaceConfig
    base_model_prefix = "fakeface"
    main_input_name = "pixel_values"
    input_modalities = ("image",)  # type: ignore[assignment]
    _no_split_modules = ["FakeFaceModel"]
    # 16-bit running statistics overflow or lose digits; weights of BatchNorm are few.
    _keep_in_fp32_modules_strict = ["bn1", "bn2", "bn3", "downsample.1", "norm"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Kaiming initialisation (He et al., 2015); transformers' default, std 0.02, starves a 16-layer head."""
        if isinstance(module, nn.Linear) and module.out_features == self.config.num_labels:
            init.normal_(module.weight, std=0.01)  # start undecided: both classes near one half
            init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            init.ones_(module.weight)
            init.zeros_(module.bias)
            init.zeros_(module.running_mean)  # type: ignore[arg-type]
            init.ones_(module.running_var)  # type: ignore[arg-type]
            init.zeros_(module.num_batches_tracked)  # type: ignore[arg-type]


class FakeFaceModel(FakeFacePreTrainedModel):
    """Pixels to feature map: everything of a fakeface model in front of its fully connected layers."""

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
        else:
            stage = config.trunk_stages
            self.trunk = timm.create_model(TRUNK, pretrained=False, features_only=True, out_indices=[stage])
            channels = [TRUNK_CHANNELS[stage - 1], *widths]
            self.blocks = nn.Sequential(
                *(conv_block(*block) for block in zip(channels, widths, BLOCK_STRIDES, strict=False))
            )
        self.post_init()

    @property
    def feature_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the feature map."""
        side = self.config.image_size // self.config.downsampling
        return (self.config.conv_widths[-1] if self.config.conv_widths else 3, side, side)

    def forward(self, pixel_values: Tensor, return_dict: bool | None = None, **kwargs):
        """Compute the feature map.

        Args:
            pixel_values: float tensor (batch, 3, image_size, image_size) from `FakeFaceImageProcessor`. A model that
                pools also takes squares of other multiples of `config.downsampling`; it was trained for this one.

        Returns:
            `last_hidden_state`: the feature map, (batch, *feature_shape).

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
            hidden = hidden.to(self.dtype)
        if self.config.architecture == "resnet50-cnn":
            hidden = self.trunk(hidden)[-1]
        hidden = self.blocks(hidden)
        if return_dict is False:
            return (hidden,)
        return BaseModelOutputWithNoAttention(last_hidden_state=hidden)


class FakeFaceForImageClassification(FakeFacePreTrainedModel):
    """A fakeface model with its fully connected layers; two logits, `real` and `generated`, already calibrated."""

    def __init__(self, config: FakeFaceConfig):
        super().__init__(config)
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
        widths = list(self.config.fc_widths or [])
        for i, units in enumerate(widths, start=1):
            layers[f"fc{i}"] = nn.Linear(features, units)
            if self.config.architecture == "resnet50-cnn" and i < len(widths):
                layers[f"norm{i}"] = nn.BatchNorm1d(units)
            layers[f"relu{i}"] = nn.ReLU(inplace=True)
            layers[f"dropout{i}"] = nn.Dropout(self.config.dropout)
            features = units
        layers["out"] = nn.Linear(features, self.num_labels)  # type: ignore[arg-type]
        return nn.Sequential(layers)

    def classify(self, feature_map: Tensor) -> Tensor:
        """Calibrated logits, float32 (batch, 2), from `FakeFaceModel`'s feature map (batch, *feature_shape)."""
        logits = self.classifier(feature_map.to(self.dtype)).float() / self.config.temperature
        return logits + logits.new_tensor([0.0, self.config.bias])

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, return_dict: bool | None = None, **kwargs):
        """Classify pictures.

        Args:
            pixel_values: float tensor (batch, 3, image_size, image_size) from `FakeFaceImageProcessor`.
            labels: integer tensor (batch,), 0 real and 1 generated; when given, the output has a cross-entropy `loss`.

        Returns:
            `logits`: float32 tensor (batch, 2). They are calibrated: softmax over them is the score, so that
            `pipeline("image-classification")` states the same number as `Detector`.
        """
        logits = self.classify(self.fakeface(pixel_values).last_hidden_state)
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        if return_dict is False:
            return (logits,) if loss is None else (loss, logits)
        return ImageClassifierOutputWithNoAttention(loss=loss, logits=logits)


FakeFaceModel.register_for_auto_class("AutoModel")
FakeFaceForImageClassification.register_for_auto_class("AutoModelForImageClassification")

__all__ = ["FakeFaceForImageClassification", "FakeFaceModel", "FakeFacePreTrainedModel"]
