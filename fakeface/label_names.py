"""What the label names of any image classifier mean: which of them say `generated`."""

import re
from collections.abc import Sequence

REAL = {"real", "human", "photo", "photograph", "photography", "authentic", "natural", "genuine", "camera", "hum"}
GENERATED = {
    "generated", "fake", "ai", "artificial", "synthetic", "deepfake", "gan", "diffusion", "aigenerated", "aigc",
    "stylegan", "midjourney", "dalle", "flux", "sdxl",
}  # fmt: skip
NEGATIONS = {"no", "not", "non", "un", "without"}


class LabelsError(ValueError):
    """The labels of a model cannot be told apart; the message lists them and names the cure."""


def generated_labels(names: Sequence[str], chosen: Sequence[str] = ()) -> list[int]:
    """Places of the labels that mean `generated`; all others mean `real`.

    Args:
        names: of the model's labels, in their order.
        chosen: names of the ones that mean `generated`, for models whose names do not say.

    Raises:
        LabelsError: a chosen name is none of the model's, or a label's meaning cannot be told.
    """
    listed = ", ".join(map(repr, names))
    if chosen:
        if unknown := sorted(set(chosen) - set(names)):
            raise LabelsError(f"no label {unknown[0]!r}: the model has {listed}")
        if len(names) > 1 and set(names) <= set(chosen):
            raise LabelsError(f"all labels are said to mean generated ({listed}): leave one that means real")
        return [place for place, name in enumerate(names) if name in chosen]
    meanings = [meaning(name) for name in names]
    if None in meanings or (len(names) > 1 and len(set(meanings)) == 1):
        raise LabelsError(
            f"which labels mean generated cannot be told from their names ({listed}): name them with --generated-label"
        )
    return [place for place, found in enumerate(meanings) if found == "generated"]


def meaning(name: str) -> str | None:
    """`real` or `generated`, where the words of a name say one of them and nothing else; else `None`."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # RealFace, artificialImage
    words = set(re.split(r"[^a-z]+", parted.lower()))
    found = [label for label, known in (("real", REAL), ("generated", GENERATED)) if words & known]
    return found[0] if len(found) == 1 and not words & NEGATIONS else None
