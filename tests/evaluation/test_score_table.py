"""Scores of other tools, and what is wrong with their files."""

import pytest

from fakeface.evaluation.inputs import ScoreTableError, read_scores


def test_label_and_score_are_enough(tmp_path):
    file = tmp_path / "theirs.csv"
    file.write_text("label,score,camera\nreal,0.25,old\nGenerated,0.75,\n1,0.5,new\n")
    found, sha256 = read_scores(file)
    assert found["label"].tolist() == [0, 1, 1]
    assert found["score"].tolist() == [0.25, 0.75, 0.5]
    assert found["generator"].tolist() == ["none", "unknown", "unknown"]
    assert set(found["source"]) == {"theirs"}
    assert set(found["split"]) | set(found["view"]) == {"all", "clean"}
    assert found["camera"].isna().tolist() == [False, True, False]
    assert len(sha256) == 64


def test_labels_go_by_their_names_and_numbers_as_stated(tmp_path):
    file = tmp_path / "theirs.csv"
    file.write_text("label,score\nhuman,0.25\nAI,0.75\n1.0,0.5\n0,0.5\n")
    assert read_scores(file)[0]["label"].tolist() == [0, 1, 1, 0]
    assert read_scores(file, ("generated", "real"))[0]["label"].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("label\nreal\n", "no column 'score'; found label"),
        ("label,score\n", "no scores in it"),
        ("", "not readable as CSV"),
        ("label,score,view\nreal,0.5,upside down\n", "no view 'upside down'; it takes clean, delivered or a step"),
        ("label,score\nreal,0.5\nreal,nan\nreal,inf\n", "line 3 and 1 more lines: the score is not a finite number"),
        ("label,score\nreal,high\n", "line 2: the score is not a finite number"),
        (
            "label,score\nreal,0.5\nperhaps,0.5\n",
            "line 3: the label 'perhaps' says neither real nor generated;",
        ),
        ('label,score\n"real,0.5\n', "not readable as CSV"),
    ],
)
def test_a_bad_file_is_named_with_the_line(text, words, tmp_path):
    file = tmp_path / "theirs.csv"
    file.write_text(text)
    with pytest.raises(ScoreTableError) as refusal:
        read_scores(file)
    assert str(refusal.value).startswith(f"{file}: ")
    assert words in str(refusal.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ScoreTableError, match=r"none\.csv: not readable"):
        read_scores(tmp_path / "none.csv")
