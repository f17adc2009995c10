"""Families of generators: one table, every name of the development data in it, and what the data say themselves."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fakeface.data.families import FAMILIES, NAMES, UNKNOWN, families_of, family_of, told_family

# Generators of the development data whose makers do not say what they are, or that are of none of the families.
UNDECIDED = {
    *("amused-256", "nvae", "vdvae"),
    *("fashn-model-create", "higgsfield-soul", "hunyuanimage-3.0", "midjourney", "midjourney-v7"),
    *("gemini-2.0-flash-image", "gemini-3.1-flash-image", "gemini-image", "nano-banana-pro"),
    *("gpt-image", "gpt-image-1.5", "gpt-image-2", "ideogram-v2", "ideogram-v3"),
    *("unknown-t2i", "unknown-t2i-lovable", "unknown-t2i-v0"),
}


def test_names_and_their_spellings():
    names = {"StyleGAN2": "gan", "stylegan-xl": "gan", "FLUX.1-dev": "diffusion", "flux2-max": "diffusion"}
    names |= {"stable-diffusion-1.4": "diffusion", "gpt-4o": "autoregressive", "gpt-image-1": "autoregressive"}
    names |= {"gpt-image-2": UNKNOWN, "fluxus": "diffusion", "unknown": UNKNOWN, "none": UNKNOWN, "": UNKNOWN}
    assert {name: family_of(name) for name in names} == names


def test_the_table_says_each_name_once_in_lower_case():
    listed = [name for names in NAMES.values() for name in names]
    assert len(set(listed)) == len(listed)
    assert all(name == name.lower() for name in listed)
    assert set(NAMES) == set(FAMILIES) - {UNKNOWN}
    assert all(family_of(name.removesuffix("*")) == family for family, names in NAMES.items() for name in names)


def test_what_the_data_say_wins_where_it_means_something():
    told = ["GAN", "LatDiff", "Commercial", None, float("nan"), "", "autoregressive"]
    assert [told_family(word) for word in told] == ["gan", "diffusion", "", "", "", "", "autoregressive"]
    assert families_of(["stylegan2"] * 7, told) == ["gan", "diffusion", *["gan"] * 4, "autoregressive"]
    assert families_of(["stylegan2", "x"]) == ["gan", UNKNOWN]


def test_every_generator_of_the_development_data_has_been_thought_of(shared: Path):
    found = set()
    for file in sorted((shared / "faces").glob("*-*.parquet")):
        found |= set(pq.read_table(file, columns=["generator"])["generator"].to_pylist())
    if not found:
        pytest.skip("no parquet files in ../shared/faces")
    assert {name for name in found - {"none"} if family_of(name) == UNKNOWN} <= UNDECIDED
