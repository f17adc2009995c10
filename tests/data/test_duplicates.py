"""Near duplicates and contradictions, on hashes made by hand."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pytest

from fakeface.data.duplicates import contradictions, find_duplicates, group_numbers, near_pairs


def pairs(values: Sequence[int], distance: int = 4) -> list[tuple[int, int]]:
    first, second = near_pairs(np.array(values, np.uint64), distance)
    return list(zip(first.tolist(), second.tolist(), strict=True))


def groups(values: Sequence[int], distance: int = 4) -> list[int]:
    return group_numbers(find_duplicates(np.array(values, np.uint64), distance)).tolist()


def test_pairs_up_to_the_distance():
    # 0b1111 is four bits from 0 and one from 0b11111, which is five from 0; the last differs from 0 in the highest bit.
    assert pairs([0, 0b1111, 0b11111, 2**63]) == [(0, 1), (0, 3), (1, 2)]
    assert pairs([0, 0b1111, 0b11111, 2**63], distance=1) == [(0, 3), (1, 2)]
    assert pairs([0, 0b1111, 0b11111, 2**63], distance=0) == []
    assert pairs([]) == []


def test_the_lower_place_comes_first_whatever_the_values():
    assert pairs([7, 3, 1], distance=1) == [(0, 1), (1, 2)]


def test_the_largest_distance():
    assert pairs([0, 2**62 - 1, 2**63 - 1], distance=62) == [(0, 1), (1, 2)]


@pytest.mark.parametrize("distance", [0, 1, 3, 6, 9])
def test_pairs_equal_those_of_comparing_all_with_all(distance):
    rng = np.random.default_rng(distance)
    centres = rng.integers(0, 2**63, 5)
    values = set()
    for _ in range(120):
        value = int(centres[rng.integers(5)])
        for bit in rng.integers(0, 64, rng.integers(0, 7)):
            value ^= 1 << int(bit)
        values.add(value)
    values = sorted(values)
    expected = [
        (i, j) for i, j in combinations(range(len(values)), 2) if (values[i] ^ values[j]).bit_count() <= distance
    ]
    assert pairs(values, distance) == expected
    assert len(expected) > 20 or distance < 2


def test_equal_hashes_are_one():
    found = find_duplicates(np.array([9, 5, 9, 9, 4], np.uint64), 1)
    assert found.unique.tolist() == [4, 5, 9]
    assert found.where.tolist() == [2, 1, 2, 2, 0]
    assert (found.first.tolist(), found.second.tolist()) == ([0], [1])


def test_groups_are_chains_numbered_by_appearance():
    far = 0xFFFF << 40
    assert groups([far, 0, 0b11, far, 0b1111], distance=2) == [0, 1, 1, 0, 1]
    assert groups([]) == []


# ---- contradictions


def contrary(
    values: Sequence[int],
    labels: Sequence[int],
    sources: Sequence[int] = (),
    contents: Sequence[int] = (),
    derived: Mapping[int, Sequence[int]] | None = None,
) -> dict[int, int]:
    n = len(values)
    return contradictions(
        find_duplicates(np.array(values, np.uint64), 4),
        np.array(labels, np.int8),
        np.array(sources or labels, np.int32),
        np.array(contents or range(n), np.uint64),
        derived or {},
    )


def test_one_picture_under_both_labels():
    assert contrary([5, 2**50, 5], [0, 0, 1]) == {0: 2, 2: 0}
    assert contrary([5, 5, 5], [0, 0, 0]) == {}


def test_contradictions_need_more_likeness_than_groups():
    assert contrary([0, 0b11], [0, 1]) == {0: 1, 1: 0}
    assert contrary([0, 0b111], [0, 1]) == {}
    assert groups([0, 0b111]) == [0, 0]


def test_the_first_of_several_is_named():
    assert contrary([0b11, 0, 0b1, 0], [0, 1, 1, 0]) == {0: 1, 1: 0, 2: 0, 3: 1}


def test_what_was_made_from_a_source_may_be_like_it():
    assert contrary([5, 5], [0, 1], derived={1: [0]}) == {}
    assert contrary([5, 5], [0, 1], derived={0: [1]}) == {}
    assert contrary([5, 5], [0, 1], sources=[3, 3], derived={3: [3]}) == {}
    assert contrary([5, 5], [0, 1], derived={1: [2]}) == {0: 1, 1: 0}


def test_one_and_the_same_file_contradicts_in_any_case():
    assert contrary([5, 5], [0, 1], contents=[8, 8], derived={1: [0]}) == {0: 1, 1: 0}
    assert contrary([5, 5], [0, 0], contents=[8, 8]) == {}
