"""Splits that keep near duplicates together and hold chosen sources and generators out."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image
from scipy.fft import dctn

from .duplicates import find_duplicates, group_numbers

# 64-bit pHashes of unrelated aligned faces start to collide at distance 6; re-encodings and rescalings stay within 4.
NEAR_DUPLICATE_DISTANCE = 4


def phash(picture: Image.Image) -> str:
    """Perceptual hash: signs, against their median, of the 8x8 lowest DCT frequencies of the grey 32x32 picture.

    Args:
        picture: any PIL picture.

    Returns:
        16 hex digits, the same that `imagehash.phash` gives (Zauner, 2010).
    """
    grey = picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    low = np.asarray(dctn(np.asarray(grey, dtype=np.float64)))[:8, :8]
    bits = (low > np.median(low)).ravel()
    return np.packbits(bits).tobytes().hex()


def near_duplicate_groups(phashes: Sequence[str], distance: int = NEAR_DUPLICATE_DISTANCE) -> list[int]:
    """Number the groups of pictures whose hashes are linked by steps of at most `distance` bits.

    Args:
        phashes: 16 hex digits each.
        distance: largest Hamming distance, in bits, of a near duplicate.

    Returns:
        One group number for each hash; numbers follow first appearance.
    """
    values = np.array([int(value, 16) for value in phashes], np.uint64)
    return group_numbers(find_duplicates(values, distance)).tolist()


def assign_splits(
    sources: Sequence[str],
    groups: Sequence[int],
    keys: Sequence[str],
    unseen: Sequence[bool],
    fractions: tuple[float, float] = (0.1, 0.2),
    seed: int = 0,
) -> list[str]:
    """Name a split for each picture: `train`, `validation`, `test`, `unseen` or `dropped`.

    Whole groups move together. Within each source groups are put in an order that depends on the seed and their
    pictures alone, so that adding a source leaves the splits of the others as they were.

    Args:
        sources: source of each picture.
        groups: group number of each picture, from `near_duplicate_groups`.
        keys: something that identifies each picture for good, such as a hash of its bytes.
        unseen: whether the picture belongs to a held-out source or generator.
        fractions: share of each source that goes to validation and to test.
        seed: another seed gives another split.

    Returns:
        The splits. `dropped` are seen-source pictures with a near duplicate among the unseen ones.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    ordered = sorted(members.values(), key=lambda rows: _digest(seed, min(keys[i] for i in rows)))
    totals = Counter(source for source, is_unseen in zip(sources, unseen, strict=True) if not is_unseen)
    taken: Counter[tuple[str, str]] = Counter()
    splits = [""] * len(groups)
    for rows in ordered:
        if any(unseen[i] for i in rows):
            for i in rows:
                splits[i] = "unseen" if unseen[i] else "dropped"
            continue
        source = sources[rows[0]]
        split = "train"
        for name, fraction in zip(("validation", "test"), fractions, strict=True):
            if taken[source, name] + len(rows) <= round(fraction * totals[source]):
                split = name
                break
        taken[source, split] += len(rows)
        for i in rows:
            splits[i] = split
    return splits


def _digest(seed: int, key: str) -> str:
    return hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()


def unknown_names(wanted: Iterable[str], *columns: Iterable[str]) -> list[str]:
    """The wanted names that stand in none of the columns."""
    known = set().union(*columns)
    return sorted(set(wanted) - known)
