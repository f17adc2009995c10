"""What the environment says about the Space: model, limits, address. `space/README.md` has the list."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..detector.points import DEFAULT
from ..images import Limits
from ..utils.errors import FakefaceError


class SettingError(FakefaceError):
    """A variable has a value it cannot have; the message names the variable and the cure."""


@dataclass(frozen=True)
class Settings:
    """Attributes:
    model: a model folder or Hub id; by default what `default_model` finds.
    device: where to compute; by default the GPU, if any.
    operating_point: by whose thresholds verdicts are read off: `strict`, `default` or `triage`.
    thresholds: `(real, generated)` instead of the model's own.
    host: address to listen on.
    port: to listen on.
    max_megabytes: of one picture's file.
    max_megapixels: of one picture.
    max_faces: of one picture, the largest.
    max_pictures: of one request for many.
    max_seconds: of one request for many; what is not judged by then is refused by name.
    queue: requests that may wait; further ones are told that the queue is full.
    concurrency: requests that are judged at once.
    addresses: whether the server fetches https addresses for visitors.
    examples: a folder or Hub dataset with pictures to try; by default those that come with the page.
    source: address of the repository or Space where the page's code lies and wrong verdicts are reported.
    docs: address of the documentation.
    site: address at which visitors reach the page; without it link previews have no picture.
    """

    model: str | None = None
    device: str | None = None
    operating_point: str = DEFAULT
    thresholds: tuple[float, float] | None = None
    host: str = "127.0.0.1"
    port: int = 7860
    max_megabytes: float = 20.0  # a phone's largest pictures, and little enough for a queue of them
    max_megapixels: float = 50.0
    max_faces: int = 50
    max_pictures: int = 100
    max_seconds: float = 120.0
    queue: int = 32
    concurrency: int = 1
    addresses: bool = True
    examples: str | None = None
    source: str | None = None
    docs: str | None = None
    site: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read them; unset and empty variables leave the default.

        Raises:
            SettingError: a value is not a number, or out of range, or two of them exclude each other.
        """
        found: dict[str, Any] = {}
        for name in ("model", "device", "examples", "operating_point"):
            found[name] = environment.get(f"FAKEFACE_{name.upper()}") or None
        for name in ("max_megabytes", "max_megapixels", "max_seconds"):
            found[name] = _number(environment, f"FAKEFACE_{name.upper()}", float)
        for name in ("max_faces", "max_pictures", "queue", "concurrency"):
            found[name] = _number(environment, f"FAKEFACE_{name.upper()}", int)
        found["host"] = environment.get("GRADIO_SERVER_NAME") or None
        found["port"] = _number(environment, "PORT", int) or _number(environment, "GRADIO_SERVER_PORT", int)
        for name in ("source", "docs", "site"):
            found[name] = _address(environment, f"FAKEFACE_{name.upper()}")
        if not found["source"] and environment.get("SPACE_ID"):  # the Hub says it of its Spaces
            found["source"] = f"https://huggingface.co/spaces/{environment['SPACE_ID']}"
        if not found["site"] and environment.get("SPACE_HOST"):
            found["site"] = f"https://{environment['SPACE_HOST']}"
        found["thresholds"] = _thresholds(environment)
        if found["thresholds"] and found["operating_point"]:
            problem = "FAKEFACE_THRESHOLDS and FAKEFACE_OPERATING_POINT both say where verdicts begin"
            raise SettingError(f"{problem}; set one of them")
        addresses = environment.get("FAKEFACE_ADDRESSES", "")
        if addresses not in ("", "on", "off"):
            raise SettingError(f"FAKEFACE_ADDRESSES is {addresses!r}: set it to on or off")
        return cls(addresses=addresses != "off", **{name: value for name, value in found.items() if value is not None})

    @property
    def limits(self) -> Limits:
        """What one picture may cost, as the decoder takes it."""
        return Limits(max_bytes=round(self.max_megabytes * 2**20), max_pixels=round(self.max_megapixels * 1e6))


def _number(environment: Mapping[str, str], variable: str, kind: type[int] | type[float]) -> Any:
    text = environment.get(variable)
    if not text:
        return None
    try:
        value = kind(text)
    except ValueError:
        value = 0
    if not 0 < value < 1e9:
        raise SettingError(f"{variable} is {text!r}: set it to a {'whole ' if kind is int else ''}number above 0")
    return value


def _address(environment: Mapping[str, str], variable: str) -> str | None:
    address = environment.get(variable) or None
    if address and not address.startswith("https://"):
        raise SettingError(f"{variable} is {address!r}: set it to an address that begins with https://")
    return address and address.rstrip("/")


def _thresholds(environment: Mapping[str, str]) -> tuple[float, float] | None:
    text = environment.get("FAKEFACE_THRESHOLDS")
    if not text:
        return None
    try:
        real, generated = (float(part) for part in text.split(","))
        if not 0 <= real <= generated <= 1:
            raise ValueError
    except ValueError:
        cure = "set it to two scores from 0 to 1, the lower first, such as 0.3,0.95"
        raise SettingError(f"FAKEFACE_THRESHOLDS is {text!r}: {cure}") from None
    return real, generated
