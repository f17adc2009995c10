"""Operating points by name: how many photographs may be called generated, for those who accuse and for those who sort.

>>> from fakeface import Detector
>>> Detector.from_pretrained(operating_point="strict")              # doctest: +SKIP

Needs no torch.
"""

from typing import TYPE_CHECKING

from ..utils.errors import OptionError

if TYPE_CHECKING:
    from ..configuration_fakeface import FakeFaceConfig

DEFAULT = "default"
STRICT, TRIAGE = "strict", "triage"
RATES = {STRICT: 0.001, TRIAGE: 0.05}  # share of photographs called generated; that of the default is the recipe's


def set_point(config: "FakeFaceConfig", point: str, name: str) -> None:
    """Have a model judge at another operating point: its thresholds and rate take the place of the model's own.

    The score up to which a face is `real` stays, unless the one from which on it is `generated` lies below.

    Args:
        config: of the model, changed in place.
        point: `default` leaves the config as it is; else one of its `operating_points`.
        name: of the model, for the message.

    Raises:
        OptionError: the model has no such operating point.
    """
    if point == DEFAULT:
        return
    known = config.operating_points or {}
    if point not in known:
        if point not in RATES:
            names = ", ".join(dict.fromkeys((STRICT, DEFAULT, TRIAGE, *known)))
            raise OptionError(f"operating point is {point!r}; choose one of {names}")
        cure = "set it with `fakeface calibrate` on enough photographs, or take the default"
        raise OptionError(f"{name}: was not calibrated for the operating point {point}; {cure}")
    chosen = known[point]
    threshold = float(chosen["threshold_generated"])  # pyright: ignore[reportArgumentType]  # validated
    config.threshold_real = min(config.threshold_real, threshold)
    config.threshold_generated = threshold
    config.group_thresholds = chosen.get("group_thresholds")  # pyright: ignore[reportAttributeAccessIssue]
    config.target_fpr = float(chosen["fpr"])  # pyright: ignore[reportArgumentType]


__all__ = ["DEFAULT", "RATES", "STRICT", "TRIAGE", "set_point"]
