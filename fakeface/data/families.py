"""What generators share: the family of each, by its name or by what the data say of it.

`NAMES` is the only table of generators' names and families. A data set that knows better says so in a column `family`
(or `architecture`, as Community Forensics calls it), picture by picture; `families_of` lets that win.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

UNKNOWN = "unknown"
FAMILIES = ("gan", "diffusion", "autoregressive", UNKNOWN)

# Names of generators as data sets here write them, in lower case; `…*` stands for all names that begin so, and the
# longest one that fits decides. A fine-tuned, distilled or guided model is of its base model's family, and flow
# matching counts as diffusion. A name is here only where its makers say what it is: unknown are products that nobody
# describes (Midjourney, Ideogram, Gemini's images, GPT-Image after the first), autoencoders (nvae, vdvae) and masked
# models (amused).
NAMES: dict[str, tuple[str, ...]] = {
    "gan": (
        "cips",
        "generated.photos",
        "mobilestylegan",
        "msg-gan",
        "pggan",
        "progan",
        "stylegan*",
        "stylenat",
        "stylesdf",
    ),
    "diffusion": (
        "absorbing-diffusion",
        "arc2face-sd1.5",
        "dall-e-2",
        "dall-e-3",
        "ddim",
        "ddpm",
        "dit-xl-2",
        "dreamshaper*",
        "f-lite",
        "flashface-sd1.5",
        "flex.1-alpha",
        "flux*",
        "hunyuanimage-2.1",
        "imagen*",
        "infiniteyou-flux",
        "juggernaut*",
        "kandinsky*",
        "koala-700m",
        "lcm-sdxl",
        "ldm",
        "leosams-filmgrain-sd1.5",
        "majicmix*",
        "omnigen-v1",
        "pixart*",
        "pulid-flux",
        "qwen-image*",
        "rddm",
        "realistic-vision*",
        "realvisxl*",
        "relay-diffusion",
        "rundiffusion-xl",
        "sd-*",
        "sd1.5*",
        "sd3*",
        "sdxl*",
        "sdxs*",
        "segmind-vega",
        "segmoe*",
        "sit-xl-2",
        "ssd-1b",
        "stable-cascade*",
        "stable-diffusion*",
        "stable-image-ultra",
        "unknown-diffusion",
        "z-image*",
        "zigma",
    ),
    "autoregressive": (
        "gpt-4o",
        "gpt-image-1",
        "janus-pro*",
        "vqgan",
    ),
}
# Words of other data sets for a family; `LatDiff` and `PixDiff` are Community Forensics' (card of the data set).
WORDS = {**{name: name for name in FAMILIES[:-1]}, "latdiff": "diffusion", "pixdiff": "diffusion"}

_EXACT = {name: family for family, names in NAMES.items() for name in names if not name.endswith("*")}
_BEGINNINGS = sorted(
    ((name[:-1], family) for family, names in NAMES.items() for name in names if name.endswith("*")),
    key=lambda pair: -len(pair[0]),
)


def family_of(generator: str) -> str:
    """The family of a generator, one of `FAMILIES`, by its name."""
    name = generator.lower()
    if name in _EXACT:
        return _EXACT[name]
    return next((family for beginning, family in _BEGINNINGS if name.startswith(beginning)), UNKNOWN)


def told_family(word: object) -> str:
    """The family that a word of a data set means; empty where it means none that we know."""
    return WORDS.get(word.strip().lower(), "") if isinstance(word, str) else ""


def families_of(generators: Iterable[str], told: Iterable[object] | None = None) -> list[str]:
    """The family of each picture's generator.

    Args:
        generators: the names, one for each picture.
        told: what the data say, one for each picture, in words of theirs or ours; what means nothing, such as None or
            an empty word, leaves it to the name.
    """
    names = list(generators)
    by_name = {name: family_of(name) for name in dict.fromkeys(names)}
    if told is None:
        return [by_name[name] for name in names]
    return [told_family(word) or by_name[name] for name, word in zip(names, told, strict=True)]


def generators_by_family(generators: Sequence[str], told: Iterable[object] | None = None) -> dict[str, list[str]]:
    """Generators by family, each by that of most of its pictures; arguments as of `families_of`."""
    counts: dict[str, Counter[str]] = {}
    for name, family in zip(generators, families_of(generators, told), strict=True):
        counts.setdefault(name, Counter())[family] += 1
    found: dict[str, list[str]] = {}
    for name in sorted(counts):
        found.setdefault(counts[name].most_common(1)[0][0], []).append(name)
    return found
