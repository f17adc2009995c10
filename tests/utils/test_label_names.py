"""Names of labels as models, datasets and folders of strangers have them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakeface.utils.label_names import (
    GENERATED,
    NEGATIONS,
    REAL,
    LabelsError,
    generated_labels,
    meaning,
    place_of,
    places_of,
    stated_order,
    told_by_folders,
)


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["real", "generated"], [1]),
        (["Fake", "Real"], [0]),
        (["artificial", "human"], [0]),
        (["AI-generated", "photograph"], [0]),
        (["RealFace", "DeepfakeFace"], [1]),
        (["real", "stylegan", "midjourney"], [1, 2]),
        (["fake"], [0]),
        (["real"], []),
    ],
)
def test_names_that_say_it(names, places):
    assert generated_labels(names) == places


@pytest.mark.parametrize(
    "names", [["LABEL_0", "LABEL_1"], ["cat", "dog"], ["real", "LABEL_1"], ["fake", "synthetic"], ["ai", "not ai"]]
)
def test_names_that_do_not_say_it_are_listed_with_the_cure(names):
    with pytest.raises(LabelsError, match=rf"\({names[0]!r}, {names[1]!r}\): name them with --generated-label"):
        generated_labels(names)


def test_the_user_may_say_it():
    assert generated_labels(["LABEL_0", "LABEL_1"], ["LABEL_0"]) == [0]
    assert generated_labels(["cat", "dog", "bird"], ["bird", "cat"]) == [0, 2]
    with pytest.raises(LabelsError, match="no label 'fish': the model has 'cat', 'dog'"):
        generated_labels(["cat", "dog"], ["fish"])
    with pytest.raises(LabelsError, match="leave one that means real"):
        generated_labels(["cat", "dog"], ["cat", "dog"])


def test_a_name_with_both_words_or_a_negation_says_nothing():
    assert meaning("real or fake") is None
    assert meaning("not_generated") is None
    assert meaning("surreal") is None


# ---- labels of datasets

WORDS = st.sampled_from(sorted(REAL | GENERATED))
SEPARATORS = st.sampled_from(["_", "-", " ", "/", "2", "_0_"])


@given(WORDS, SEPARATORS, st.sampled_from(["", "images", "0", "class"]), st.booleans())
def test_a_word_says_it_however_it_is_written(word, separator, other, upper):
    name = f"{other}{separator}{word}"
    assert meaning(name.upper() if upper else name) == ("real" if word in REAL else "generated")


@given(st.lists(WORDS, min_size=1, max_size=6), st.data())
def test_the_order_of_names_does_not_matter(names, data):
    order = data.draw(st.permutations(range(len(names))))
    places = places_of(names)
    assert [places[i] for i in order] == places_of([names[i] for i in order])
    assert places == [int(name in GENERATED) for name in names]
    assert places == [place_of(name) for name in names]


@given(st.text(max_size=40))
def test_any_name_is_told_or_refused(name):
    for stated in ((), ("generated", "real")):
        with suppress(LabelsError):
            assert place_of(name, stated) in (0, 1)
    told = told_by_folders([name])
    assert told is None or told.label in (0, 1)


@given(WORDS, st.sampled_from(sorted(NEGATIONS)))
def test_a_negation_says_nothing(word, negation):
    assert meaning(f"{negation} {word}") is None


@pytest.mark.parametrize(
    ("names", "stated", "places"),
    [
        (None, ("real", "generated"), [0, 1]),
        (None, ("generated", "real"), [1, 0]),
        (["1", "0"], ("real", "generated"), [1, 0]),
        (["cat", "dog"], ("generated", "real"), [1, 0]),
        (["fake", "real"], ("real", "generated"), [1, 0]),
    ],
)
def test_a_stated_order_speaks_for_numbers_that_have_no_names(names, stated, places):
    assert places_of(names, stated) == places


@pytest.mark.parametrize("names", [None, ["0", "1"], ["cat", "dog"], ["real", "1"], []])
def test_without_names_and_statement_labels_are_refused(names):
    if names == []:
        assert places_of(names) == []
        return
    with pytest.raises(LabelsError, match="which are real; name them, or state their order") as error:
        places_of(names)
    assert error.value.cure.startswith("name them, or state their order: --labels real,generated")


@pytest.mark.parametrize("words", [["real"], ["fake", "real"], ["real", "real"]])
def test_an_order_has_both_labels(words):
    with pytest.raises(LabelsError, match="it takes real and generated"):
        stated_order(words)
