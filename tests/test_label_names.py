"""Names of labels as models of the Hub have them."""

import pytest

from fakeface.label_names import LabelsError, generated_labels, meaning


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
