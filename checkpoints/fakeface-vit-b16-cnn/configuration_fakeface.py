"""Configuration of the fakeface models: architecture, sizes, calibration and thresholds."""

import re

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

ARCHITECTURES = ("logistic", "cnn", "resnet50-cnn", "vit-b16-cnn")
TRUNKED = ("resnet50-cnn", "vit-b16-cnn")
POOLINGS = ("none", "average")
LABELS = ("real", "generated")
CUTS = ("box", "landmarks")
CODE_VERSION = "0.2.0"  # of the package that these files are of; `config.json` has it as `fakeface_version`
# Of model folders. 1, the first, does not say so; 2 states format and code version; 3 may pool its feature map; 4 may
# have a transformer as trunk, and faces cut by landmarks.
FORMAT_VERSION = 4

# What the names of two labels may be in place of ours, for the same two.
WORDS = (
    {"real", "human", "photo", "photograph", "authentic", "natural", "nature", "genuine"},
    {"generated", "fake", "ai", "artificial", "synthetic", "deepfake"},
)

# Fields that hold for one set of weights and its two labels.
CALIBRATION = (
    "temperature",
    "bias",
    "threshold_generated",
    "threshold_real",
    "target_fpr",
    "group_thresholds",
    "familiar_distance",
)

DEFAULT_CONV_WIDTHS = {"logistic": [], "cnn": [32, 64], "resnet50-cnn": [256, 256, 256, 256], "vit-b16-cnn": [256]}
DEFAULT_FC_WIDTHS = {"logistic": [], "cnn": [128], "resnet50-cnn": [512, 256, 64], "vit-b16-cnn": []}
PATCH = 16  # pixels; side of a patch of ViT-B/16
VIT_BLOCKS, VIT_WIDTH = 12, 768

# `save_pretrained` alone would name only the class that was saved; a folder must open by every Auto class.
AUTO_MAP = {
    "AutoConfig": "configuration_fakeface.FakeFaceConfig",
    "AutoModel": "modeling_fakeface.FakeFaceModel",
    "AutoModelForImageClassification": "modeling_fakeface.FakeFaceForImageClassification",
    "AutoImageProcessor": "image_processing_fakeface.FakeFaceImageProcessor",
}


def _are_group_thresholds(groups):
    """Whether they are numbers of faces from 2 up, as text, to scores."""
    return isinstance(groups, dict) and all(
        number.isdecimal() and int(number) > 1 and isinstance(score, (int, float)) and 0 <= score <= 1
        for number, score in groups.items()
    )


@strict
class FakeFaceConfig(PreTrainedConfig):
    r"""
    Describes one fakeface model.

    Its labels are 0 `real` and 1 `generated`, by these names or by others for the same. A model may be fine-tuned to
    any other labels (`num_labels`, `id2label`); calibration and thresholds are of these two, and begin anew there.

    Args:
        architecture (`str`, defaults to `"resnet50-cnn"`): one of `"logistic"`, `"cnn"`, `"resnet50-cnn"`,
            `"vit-b16-cnn"`.
        image_size (`int`, defaults to 160): side of the square input in pixels; a multiple of the architecture's
            total down-sampling (1 for `logistic`, 4 for `cnn`, 32 for `resnet50-cnn` with three trunk stages, 16 for
            `vit-b16-cnn`, whose position embeddings were trained at 224 and are interpolated for other sides).
        trunk_stages (`int`, defaults to 3): how many of ResNet-50's four stages the trunk keeps. Three keep the map
            at 1/16 of the input, where the traces of a generator are still local, and need no layer4 weights.
        trunk_blocks (`list[int]`, *optional*): of `vit-b16-cnn`: the blocks of CLIP's ViT-B/16, counted from 1, whose
            patches and class token the head sees, in rising order; by default 5 to 9. Those above the last are not
            built. Traces of generators are strongest in the middle blocks, and several together beat each alone.
        trunk_bits (`int`, defaults to 32): of `vit-b16-cnn`: 8 keeps the matrices of the trunk as int8 with a scale
            for each output channel, a quarter of the file; 32 keeps them in the model's type.
        conv_widths (`list[int]`, *optional*): output channels of each convolution block of the head: four numbers for
            `resnet50-cnn`, two for `cnn`, one for `vit-b16-cnn`, none for `logistic`.
        fc_widths (`list[int]`, *optional*): widths of the hidden fully connected layers.
        pooling (`str`, defaults to `"none"`): what the first of them sees of the feature map: `"none"` all of it, so
            that it knows where in the picture a feature stands; `"average"` each channel's mean, so that it does not,
            and the model takes squares of other sides too. `logistic` takes `"none"` only, `vit-b16-cnn` `"average"`.
        dropout (`float`, defaults to 0.3): probability of dropping a unit between fully connected layers, in [0, 1).
        temperature (`float`, defaults to 1.0): raw logits are divided by it (Guo et al., 2017); above 0.
        bias (`float`, defaults to 0.0): added to the `generated` logit after the division. Both are fitted on
            validation data, so that softmax of the model's logits is the calibrated score wherever it is computed.
        threshold_generated (`float`, defaults to 0.5): scores at or above it get the verdict `generated`.
        threshold_real (`float`, defaults to 0.5): scores at or below it get the verdict `real`; at most
            `threshold_generated`. Between the two the verdict is `uncertain`.
        target_fpr (`float`, *optional*): the false-positive rate on real pictures that `threshold_generated` was
            picked for; `None` while the model is not calibrated.
        group_thresholds (`dict[str, float]`, *optional*): number of faces judged in a picture, from 2 up, to the score
            from which on the most generated of them makes the picture `generated`; between two numbers in proportion
            in the logarithm of the number and the logit of the score. `fakeface calibrate` fits them, so that
            `target_fpr` holds for pictures of many faces too. Without it `threshold_generated` holds for all.
        operating_points (`dict[str, dict]`, *optional*): other operating points by name, such as `strict` and
            `triage`: `fpr`, `threshold_generated` and `group_thresholds` in place of the three above, and what they
            rest on, the n of real scores and how many of them lie beyond the threshold. `fakeface calibrate` fits
            them, and leaves out one that its photographs cannot give.
        cascade (`dict[str, float | str]`, *optional*): which faster model may judge before this one, by `first`, its
            digest, and from which scores of it on this one need not be asked: `real_up_to` and `generated_from`.
            `fakeface calibrate --cascade` fits them.
        familiar_directions (`int`, defaults to 0): of a model with a trunk: in how many directions the features of the
            training pictures vary so much that `distance` of the model's output leaves them out. The weights have them.
        familiar_distance (`float`, *optional*): of a model with a trunk: up to which `distance` of the model's output a
            face is like those of its training. Further away a verdict `real` becomes `uncertain`. Without it the model
            measures no distance. Training picks it so that one training photograph in a hundred is further away.
        smallest_face (`int`, defaults to 32): longer side in pixels of a face's box under which the verdict is
            `uncertain`. `fakeface calibrate --faces` measures it.
        face_cut (`str`, defaults to `"box"`): how a found face becomes a square. `"box"` takes a square about the
            face's box, in quarter turns; `"landmarks"` levels the face by its eyes, and centres and scales it by eyes
            and mouth as FFHQ is aligned (Karras et al., 2019), so that a tilted head is seen as an upright one.
        face_margin (`float`, defaults to 1.4): side of a face crop over the longer side of the face's box, or, with
            `face_cut="landmarks"`, over the side of FFHQ's square; from 0.5 to 4. The default is how `fakeface data
            build` cuts faces; `fakeface calibrate --faces` measures where a model tells labels apart best.
    """

    model_type = "fakeface"

    architecture: str = "resnet50-cnn"
    image_size: int = 160
    trunk_stages: int = 3
    trunk_blocks: list[int] | tuple[int, ...] | None = None
    trunk_bits: int = 32
    conv_widths: list[int] | tuple[int, ...] | None = None
    fc_widths: list[int] | tuple[int, ...] | None = None
    pooling: str = "none"
    dropout: float | int = 0.3
    temperature: float | int = 1.0
    bias: float | int = 0.0
    threshold_generated: float | int = 0.5
    threshold_real: float | int = 0.5
    target_fpr: float | None = None
    group_thresholds: dict[str, float | int] | None = None
    operating_points: dict[str, dict[str, float | int | dict[str, float | int]]] | None = None
    cascade: dict[str, float | int | str] | None = None
    familiar_directions: int = 0
    familiar_distance: float | int | None = None
    smallest_face: int = 32
    face_cut: str = "box"
    face_margin: float | int = 1.4
    auto_map: dict[str, str] | None = None

    def __post_init__(self, **kwargs):
        found = kwargs.pop("format_version", 1)
        if not isinstance(found, int) or not 1 <= found <= FORMAT_VERSION:
            cure = "a newer fakeface wrote it, so upgrade: pip install --upgrade fakeface"
            raise ValueError(f"format_version is {found!r}: this fakeface reads 1 to {FORMAT_VERSION}; {cure}")
        kwargs.pop("fakeface_version", None)  # of who wrote the file; who writes it next states his own
        if self.trunk_blocks is None and self.architecture == "vit-b16-cnn":
            self.trunk_blocks = [5, 6, 7, 8, 9]
        if self.conv_widths is None:
            self.conv_widths = list(DEFAULT_CONV_WIDTHS.get(self.architecture, []))
        if self.fc_widths is None:
            self.fc_widths = list(DEFAULT_FC_WIDTHS.get(self.architecture, []))
        self.auto_map = {**AUTO_MAP, **(self.auto_map or {})}
        if self.id2label is None:
            given = self.label2id or {label: i for i, label in enumerate(LABELS)}
            self.id2label = {int(key): name for name, key in given.items()}
        super().__post_init__(**kwargs)
        self.settle_labels()

    def to_dict(self):
        """As transformers', with the format of the folder and the version of the code that writes it."""
        return {**super().to_dict(), "format_version": FORMAT_VERSION, "fakeface_version": CODE_VERSION}

    def settle_labels(self) -> None:
        """Bring `label2id` in line with `id2label`, and drop a calibration that is of other labels than these.

        Both may be set at any time, one without the other; so the model asks for this once more when it is built.

        Raises:
            ValueError: the labels are not numbered from 0, or are ours in the opposite order.
        """
        id2label = {int(key): str(name) for key, name in (self.id2label or {}).items()}
        label2id = {str(name): int(key) for name, key in (self.label2id or {}).items()}
        if id2label == dict(enumerate(LABELS)) and label2id:  # `label2id` alone was given
            id2label = {key: name for name, key in label2id.items()}
        if not id2label or sorted(id2label) != list(range(len(id2label))):
            raise ValueError(f"id2label is {id2label}: it takes names for the numbers from 0 on")
        self.id2label = {key: id2label[key] for key in sorted(id2label)}
        self.label2id = {name: key for key, name in self.id2label.items()}
        meanings = [_meaning(name) for name in self.id2label.values()]
        if meanings == [1, 0]:
            raise ValueError(
                f"id2label is {self.id2label}: in this model real is 0 and generated is 1. Give the dataset that "
                "order, and leave the labels of the model: "
                "dataset = dataset.cast_column('label', ClassLabel(names=['generated', 'real'])), then "
                "dataset = dataset.align_labels_with_mapping(model.config.label2id, 'label')"
            )
        if meanings != [0, 1] or self.problem_type not in (None, "single_label_classification"):
            self.reset_calibration()

    @property
    def is_calibrated(self) -> bool:
        """Whether any number of calibration and verdict is other than in a fresh model."""
        return any(getattr(self, name) != getattr(type(self), name) for name in CALIBRATION)

    def reset_calibration(self) -> None:
        """Set calibration and thresholds as in a fresh model: they say nothing of other weights or labels."""
        for name in CALIBRATION:
            setattr(self, name, getattr(type(self), name))

    @property
    def downsampling(self) -> int:
        """Input side divided by the side of the last feature map."""
        fixed = {"logistic": 1, "cnn": 4, "vit-b16-cnn": PATCH}
        return fixed.get(self.architecture, 1 << (self.trunk_stages + 2))

    def validate_sizes(self):
        """Part of `@strict` validation; raises ValueError with the field and the values it may take."""
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"unknown architecture {self.architecture!r}: choose one of {', '.join(ARCHITECTURES)}")
        if not 1 <= self.trunk_stages <= 4:
            raise ValueError(f"trunk_stages is {self.trunk_stages}: ResNet-50 has stages 1 to 4")
        blocks = list(self.trunk_blocks or [])
        if self.architecture == "vit-b16-cnn" and not (
            blocks and blocks == sorted(set(blocks)) and blocks[0] >= 1 and blocks[-1] <= VIT_BLOCKS
        ):
            raise ValueError(f"trunk_blocks is {blocks}: it takes rising numbers from 1 to {VIT_BLOCKS}")
        most = VIT_WIDTH if self.architecture in TRUNKED else 0  # a hostile config may not ask for more
        if not 0 <= self.familiar_directions <= most:
            takes = f"{self.architecture} takes a number from 0 to {most}"
            raise ValueError(f"familiar_directions is {self.familiar_directions}: {takes}")
        if self.trunk_bits not in (8, 32):
            raise ValueError(f"trunk_bits is {self.trunk_bits}: it takes 8 or 32")
        # 1024 px is far above any face crop; the bound keeps a hostile config from asking for terabytes.
        if not 0 < self.image_size <= 1024 or self.image_size % self.downsampling:
            raise ValueError(
                f"image_size is {self.image_size}: {self.architecture} takes a multiple of {self.downsampling}, "
                "up to 1024"
            )
        conv_widths, fc_widths = self.conv_widths or [], self.fc_widths or []
        blocks = len(DEFAULT_CONV_WIDTHS[self.architecture])
        if len(conv_widths) != blocks:
            raise ValueError(f"conv_widths has {len(conv_widths)} numbers: {self.architecture} takes {blocks}")
        if self.architecture == "logistic" and fc_widths:
            raise ValueError("fc_widths is set: logistic has no hidden layer")
        if self.architecture == "resnet50-cnn" and not fc_widths:
            raise ValueError("fc_widths is empty: resnet50-cnn takes at least one hidden layer")
        if not all(0 < width <= 8192 for width in (*conv_widths, *fc_widths)):
            raise ValueError("conv_widths and fc_widths take numbers from 1 to 8192")
        if self.architecture == "vit-b16-cnn" and self.pooling != "average":
            raise ValueError(f"pooling is {self.pooling!r}: vit-b16-cnn takes average")
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling is {self.pooling!r}: it takes {' or '.join(POOLINGS)}")
        if self.pooling != "none" and self.architecture == "logistic":
            raise ValueError(f"pooling is {self.pooling!r}: logistic takes none, or it would see the mean colour alone")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}: it takes a number from 0 up to, not including, 1")

    def validate_calibration(self):
        """Part of `@strict` validation; raises ValueError with the field and the values it may take."""
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}: it must be above 0")
        if not 0 <= self.threshold_real <= self.threshold_generated <= 1:
            raise ValueError(
                "thresholds must satisfy 0 <= threshold_real <= threshold_generated <= 1, not "
                f"{self.threshold_real} and {self.threshold_generated}"
            )
        if not _are_group_thresholds(self.group_thresholds or {}):
            takes = "it takes numbers of faces from 2 to scores from 0 to 1"
            raise ValueError(f"group_thresholds is {self.group_thresholds}: {takes}")
        for name, point in (self.operating_points or {}).items():
            fpr, threshold = point.get("fpr"), point.get("threshold_generated")
            are_rates = all(isinstance(value, (int, float)) and 0 <= value <= 1 for value in (fpr, threshold))
            if name == "default" or not are_rates or not _are_group_thresholds(point.get("group_thresholds", {})):
                takes = (
                    "fpr and threshold_generated from 0 to 1, group_thresholds as the model's own; not for `default`"
                )
                raise ValueError(f"operating_points has {name}: {point}: a point takes {takes}")
        # The trunk of a vit-b16-cnn brings its features in line itself; beside that of a ResNet-50 something has to.
        told = self.architecture == "vit-b16-cnn" or (self.architecture in TRUNKED and self.familiar_directions)
        if self.familiar_distance is not None and not (told and self.familiar_distance > 0):
            takes = "it takes a number above 0, of vit-b16-cnn, or of resnet50-cnn with familiar_directions"
            raise ValueError(f"familiar_distance is {self.familiar_distance}: {takes}")
        if self.cascade is not None:
            low, high = (self.cascade.get(name) for name in ("real_up_to", "generated_from"))
            if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and 0 <= low <= high <= 1):
                raise ValueError(f"cascade is {self.cascade}: it takes 0 <= real_up_to <= generated_from <= 1")

    def validate_faces(self):
        """Part of `@strict` validation; raises ValueError with the field and the values it may take."""
        if self.smallest_face < 0:
            raise ValueError(f"smallest_face is {self.smallest_face}: it takes a number of pixels from 0")
        if self.face_cut not in CUTS:
            raise ValueError(f"face_cut is {self.face_cut!r}: it takes {' or '.join(CUTS)}")
        if not 0.5 <= self.face_margin <= 4:
            raise ValueError(f"face_margin is {self.face_margin}: it takes a number from 0.5 to 4")


def _meaning(name: str) -> int | None:
    """0 or 1, where the words of a label's name say one of ours and nothing of the other."""
    words = set(re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))
    found = [label for label, known in enumerate(WORDS) if words & known]
    return found[0] if len(found) == 1 and not words & {"no", "not", "non"} else None


FakeFaceConfig.register_for_auto_class()

__all__ = ["ARCHITECTURES", "CODE_VERSION", "FORMAT_VERSION", "LABELS", "FakeFaceConfig"]
