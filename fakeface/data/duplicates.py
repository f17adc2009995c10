"""Near duplicates among millions of pictures, by their 64-bit perceptual hashes.

Not pairwise: two hashes within d bits of each other differ in at most d of d + 2 bands of bits, and so agree on at
least two. Sorted by each pair of bands in turn, near hashes are neighbours, and only neighbours are compared: for
d = 4, 15 sorts by some 21 bits each (multi-index hashing; Norouzi, Punjani, Fleet, 2012).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

HASH_BITS = 64
# Contradicting labels take pictures out of the dataset, so they need more likeness than standing in one group does:
# hashes of unrelated aligned faces come within 4 bits once there are hundreds of thousands of them.
CONTRADICTION_DISTANCE = 2

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]


def near_pairs(values: Hashes, distance: int) -> tuple[Indices, Indices]:
    """Every pair of hashes that differ in at most `distance` bits, once.

    Args:
        values: n hashes, all different.
        distance: in bits, 0 to 62.

    Returns:
        Two arrays of indices, the first below the second. Besides them, memory is some 50 bytes a hash.
    """
    found = [np.zeros(0, np.uint64)]
    for mask in _band_masks(distance):
        keys = values & mask
        order = np.argsort(keys)
        keys, ordered = keys[order], values[order]
        # Each with its next neighbour of equal key, then with the one after that, until no key reaches so far.
        here, step = np.flatnonzero(keys[1:] == keys[:-1]), 1
        while here.size:
            near = here[np.bitwise_count(ordered[here] ^ ordered[here + step]) <= distance]
            low, high = np.minimum(order[near], order[near + step]), np.maximum(order[near], order[near + step])
            found.append((low.astype(np.uint64) << np.uint64(32)) | high.astype(np.uint64))
            step += 1
            here = here[here + step < len(keys)]
            here = here[keys[here] == keys[here + step]]
    pairs = np.unique(np.concatenate(found))
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(2**32 - 1)).astype(np.int64)


def _band_masks(distance: int) -> Iterator[np.uint64]:
    edges = np.linspace(0, HASH_BITS, distance + 3).astype(int).tolist()
    bands = [((1 << high) - 1) ^ ((1 << low) - 1) for low, high in pairwise(edges)]
    for first, second in combinations(bands, 2):
        yield np.uint64(first | second)


class Duplicates(NamedTuple):
    """The pairs among the different hashes of a set.

    Attributes:
        unique: the different hashes, sorted.
        where: for each picture, its hash's place in `unique`.
        first, second: places of the pairs of near hashes.
    """

    unique: Hashes
    where: Indices
    first: Indices
    second: Indices


def find_duplicates(values: Hashes, distance: int) -> Duplicates:
    """Near duplicates of a set of hashes; equal ones cost nothing, however many there are."""
    unique, where = np.unique(values, return_inverse=True)
    return Duplicates(unique, where.astype(np.int64), *near_pairs(unique, distance))


def group_numbers(duplicates: Duplicates) -> Indices:
    """One group number for each picture; groups are linked by steps of near pairs, and numbers follow appearance."""
    n = len(duplicates.unique)
    if not n:
        return np.zeros(0, np.int64)
    links = coo_array((np.ones(len(duplicates.first), np.bool_), (duplicates.first, duplicates.second)), shape=(n, n))
    component = connected_components(links, directed=False)[1][duplicates.where]
    _, first, where = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[where].astype(np.int64)


def contradictions(
    duplicates: Duplicates,
    labels: NDArray[np.int8],
    sources: NDArray[np.int32],
    contents: NDArray[np.uint64],
    derived: Mapping[int, Sequence[int]],
) -> dict[int, int]:
    """Pictures that also stand in the set, all but unchanged, under the other label.

    Args:
        duplicates: of the pictures' perceptual hashes.
        labels: 0 or 1.
        sources: number of each picture's source.
        contents: hash of each picture's file.
        derived: for a source, those its generated pictures were made from: a picture and what was made from it differ
            in label by right, unless they are one and the same file.

    Returns:
        For each such picture, one that contradicts it. Both stand in it.
    """
    where, neighbours = duplicates.where, _contrary_neighbours(duplicates, labels)
    suspect = np.zeros(len(duplicates.unique), bool)
    suspect[list(neighbours)] = True
    rows = np.flatnonzero(suspect[where]).tolist()
    cells: dict[int, dict[tuple[int, int], int]] = defaultdict(dict)  # first row of each label and source of a hash
    files: dict[tuple[int, int], int] = {}  # first row of each file and label
    for row in rows:
        cells[int(where[row])].setdefault((int(labels[row]), int(sources[row])), row)
        files.setdefault((int(contents[row]), int(labels[row])), row)
    found: dict[int, int] = {}
    for row in rows:
        label, source = int(labels[row]), int(sources[row])
        witness = files.get((int(contents[row]), 1 - label))
        for node in neighbours[int(where[row])] if witness is None else ():
            for (other_label, other), candidate in cells[node].items():
                related = other in derived.get(source, ()) or source in derived.get(other, ())
                if other_label != label and not related:
                    witness = candidate if witness is None else min(witness, candidate)
        if witness is not None:
            found[row] = witness
    return found


def _contrary_neighbours(duplicates: Duplicates, labels: NDArray[np.int8]) -> dict[int, list[int]]:
    """Hashes with pictures of both labels in reach: their places, each with the places in reach, its own first."""
    unique, where, first, second = duplicates
    has = np.zeros((len(unique), 2), bool)
    has[where, labels] = True
    close = np.bitwise_count(unique[first] ^ unique[second]) <= CONTRADICTION_DISTANCE
    first, second = first[close], second[close]
    mixed = (has[first, 0] & has[second, 1]) | (has[first, 1] & has[second, 0])
    neighbours: dict[int, list[int]] = {node: [node] for node in np.flatnonzero(has.all(axis=1)).tolist()}
    for low, high in zip(first[mixed].tolist(), second[mixed].tolist(), strict=True):
        neighbours.setdefault(low, [low]).append(high)
        neighbours.setdefault(high, [high]).append(low)
    return neighbours
