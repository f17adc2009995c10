"""Splits: what counts as a near duplicate, and who stands on which side."""

import io
from collections import Counter

import numpy as np
import pytest
from datasets import load_dataset
from PIL import Image, ImageDraw

from fakeface.data.splits import assign_splits, near_duplicate_groups, phash, unknown_names


def flipped(value: int, *bits: int) -> str:
    """The hash `value` with some bits flipped, as 16 hex digits."""
    for bit in bits:
        value ^= 1 << int(bit)  # a numpy integer would turn negative
    return f"{value:016x}"


def distance(first: str, second: str) -> int:
    return (int(first, 16) ^ int(second, 16)).bit_count()


def drawing(side=256):
    """Something with the coarse structure of a face."""
    picture = Image.new("RGB", (side, side), (60, 90, 120))
    draw = ImageDraw.Draw(picture)
    for box, colour in [
        ((0.2, 0.1, 0.8, 0.95), (220, 180, 150)),
        ((0.2, 0.05, 0.85, 0.3), (60, 40, 20)),
        ((0.33, 0.4, 0.43, 0.47), (20, 20, 40)),
        ((0.58, 0.4, 0.68, 0.47), (20, 20, 40)),
        ((0.4, 0.72, 0.62, 0.8), (170, 60, 60)),
    ]:
        draw.ellipse([share * side for share in box], fill=colour)
    return picture


# ---- perceptual hash


def test_phash_of_a_made_picture():
    # `imagehash.phash` 4.3 gives the same.
    assert phash(drawing()) == "c36168969997878f"
    assert phash(drawing().transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == "96343dc3ccc2d2da"


def test_phash_sees_grey_only():
    picture = drawing()
    assert phash(picture.convert("L")) == phash(picture) == phash(picture.convert("RGBA"))


@pytest.mark.parametrize("side", [64, 100, 180, 400])
def test_phash_withstands_rescaling(side):
    assert distance(phash(drawing().resize((side, side))), phash(drawing())) <= 4


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
@pytest.mark.parametrize("format_", ["JPEG", "WEBP"])
def test_phash_withstands_encoding(format_, quality):
    buffer = io.BytesIO()
    drawing().save(buffer, format_, quality=quality)
    assert distance(phash(Image.open(buffer)), phash(drawing())) <= 4


def test_phash_tells_other_pictures_apart():
    assert distance(phash(drawing()), phash(drawing().transpose(Image.Transpose.FLIP_LEFT_RIGHT))) > 4


def test_phash_is_the_one_of_the_shared_pool(shared):
    pool = load_dataset("parquet", data_files=str(shared / "faces/pool-00000-of-*.parquet"), split="train[:50]")
    # Some pictures were hashed before they were cropped and saved for the pool.
    equal = [phash(picture) == value for picture, value in zip(pool["image"], pool["phash"], strict=True)]
    assert sum(equal) >= 40


# ---- groups


@pytest.mark.parametrize(("bits", "groups"), [((), [0, 0]), ((5,), [0, 0]), ((0, 20, 40, 63), [0, 0])])
def test_hashes_up_to_four_bits_apart_are_together(bits, groups):
    value = 0xA5A5_0F0F_3C3C_9999
    assert near_duplicate_groups([flipped(value), flipped(value, *bits)]) == groups


def test_hashes_five_bits_apart_are_not():
    value = 0xA5A5_0F0F_3C3C_9999
    assert near_duplicate_groups([flipped(value), flipped(value, 0, 15, 30, 45, 60)]) == [0, 1]
    assert near_duplicate_groups([flipped(value), flipped(value, 0, 1, 2, 3, 4)]) == [0, 1]


def test_chains_hold_together():
    links = [flipped(0, *range(n)) for n in (0, 4, 8, 12)]
    assert near_duplicate_groups(links) == [0, 0, 0, 0]
    assert near_duplicate_groups([links[0], links[3]]) == [0, 1]
    assert near_duplicate_groups([links[0], links[3], links[2], links[1]]) == [0, 0, 0, 0]


def test_numbers_follow_first_appearance():
    far = [flipped(0), flipped(0, *range(20)), flipped(0, *range(20, 50))]
    assert near_duplicate_groups([far[1], far[0], far[1], far[2], far[0]]) == [0, 1, 0, 2, 1]


def test_nothing_has_no_groups():
    assert near_duplicate_groups([]) == []


@pytest.mark.parametrize("limit", [0, 1, 4, 6])
@pytest.mark.parametrize("seed", range(5))
def test_groups_equal_those_of_comparing_all_with_all(seed, limit):
    rng = np.random.default_rng(seed)
    # Random hashes are some 32 bits apart; so scatter a few bits around a few centres.
    centres = rng.integers(0, 2**63, 12).tolist()
    hashes = [flipped(centres[rng.integers(12)], *rng.integers(0, 64, rng.integers(0, 8))) for _ in range(150)]
    groups = near_duplicate_groups(hashes, limit)

    expected = list(range(len(hashes)))  # spread the lowest number until nothing changes
    while True:
        spread = [min(expected[j] for j in range(150) if distance(h, hashes[j]) <= limit) for h in hashes]
        if spread == expected:
            break
        expected = spread
    pairs = set(zip(groups, expected, strict=True))
    assert len(pairs) == len(set(groups)) == len(set(expected))


# ---- sides


def splits_of(sources, groups=None, unseen=None, prefix="", **options):
    """Splits of pictures that are keyed by their source and their place in it."""
    counts: Counter[str] = Counter()
    keys = []
    for source in sources:
        keys.append(f"{prefix}{source}-{counts[source]}")
        counts[source] += 1
    return assign_splits(
        sources, groups or list(range(len(sources))), keys, unseen or [False] * len(sources), **options
    )


def test_each_source_gives_its_share():
    sources = ["a"] * 200 + ["b"] * 50 + ["c"] * 10
    splits = splits_of(sources)
    assert Counter(zip(sources, splits, strict=True)) == {
        ("a", "validation"): 20,
        ("a", "test"): 40,
        ("a", "train"): 140,
        ("b", "validation"): 5,
        ("b", "test"): 10,
        ("b", "train"): 35,
        ("c", "validation"): 1,
        ("c", "test"): 2,
        ("c", "train"): 7,
    }


def test_other_shares_on_request():
    assert Counter(splits_of(["a"] * 100, fractions=(0.25, 0.0))) == {"validation": 25, "train": 75}


def test_the_seed_and_nothing_else_decides():
    sources = ["a"] * 60
    assert splits_of(sources) == splits_of(sources)
    assert splits_of(sources) != splits_of(sources, seed=1)


def test_pictures_are_split_alike_in_any_order():
    sources, keys = ["a"] * 40 + ["b"] * 40, [f"key-{i}" for i in range(80)]
    order = np.random.default_rng(0).permutation(80).tolist()
    splits = assign_splits(sources, list(range(80)), keys, [False] * 80)
    shuffled = assign_splits([sources[i] for i in order], list(range(80)), [keys[i] for i in order], [False] * 80)
    assert shuffled == [splits[i] for i in order]


def test_adding_a_source_leaves_the_others_as_they_were():
    before = splits_of(["a"] * 60 + ["b"] * 30)
    after = splits_of(["c"] * 45 + ["a"] * 60 + ["b"] * 30)
    assert after[45:] == before


def test_no_group_stands_on_two_sides():
    rng = np.random.default_rng(0)
    sources = rng.choice(["a", "b", "c"], 300).tolist()
    groups = rng.integers(0, 90, 300).tolist()
    splits = splits_of(sources, groups)
    sides: dict[int, set[str]] = {}
    for group, split in zip(groups, splits, strict=True):
        sides.setdefault(group, set()).add(split)
    assert all(len(found) == 1 for found in sides.values())
    assert {split for found in sides.values() for split in found} == {"train", "validation", "test"}


def test_a_group_too_large_for_a_side_goes_elsewhere():
    splits = splits_of(["a"] * 20, groups=[0] * 20)
    assert splits == ["train"] * 20


def test_held_out_pictures_are_unseen_and_their_near_duplicates_dropped():
    sources = ["a", "a", "b", "b", *["a"] * 16]
    groups = [0, 1, 0, 2, *range(3, 19)]  # the first of `a` is the first of `b`, made again
    unseen = [False, False, True, True, *[False] * 16]
    splits = splits_of(sources, groups, unseen)
    assert splits[0] == "dropped"
    assert splits[2:4] == ["unseen", "unseen"]
    assert set(splits[1:2] + splits[4:]) == {"train", "validation", "test"}


def test_a_chain_to_an_unseen_picture_is_dropped_whole():
    assert splits_of(["a", "a", "b"], [0, 0, 0], [False, False, True]) == ["dropped", "dropped", "unseen"]


def test_unknown_names():
    assert unknown_names(["ffhq", "fhq", "stylegan2"], ["ffhq", "lfw"], ["none", "stylegan2"]) == ["fhq"]
    assert unknown_names([], ["a"]) == []
