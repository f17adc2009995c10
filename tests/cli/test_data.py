"""`fakeface data sources` and `fakeface data build`: what they print, and what they answer to slips."""

import json

import pytest
from raw import write_files
from typer.testing import CliRunner

from fakeface.cli.data import app

OWN = [
    {"source": "pictures", "name": "camera", "label": "real"},
    {"source": "pictures", "name": "gan", "label": "generated", "generator": "sdxl"},
]


def invoke(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def write_recipe(folder, **settings):
    file = folder / "recipe.yaml"
    file.write_text(json.dumps({"sources": OWN, "split_fractions": [0, 0], **settings}))  # YAML takes JSON
    return file


@pytest.fixture
def root(tmp_path):
    write_files(tmp_path / "root/camera", [f"{i}.jpg" for i in range(4)])
    write_files(tmp_path / "root/gan", [f"{i}.jpg" for i in range(3)], first=10)
    return tmp_path / "root"


def test_sources_are_listed():
    result = invoke("sources", "--source", "lfw", "--source", "ffhq")
    assert result.exit_code == 0
    titles = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert titles == ["ffhq: Flickr-Faces-HQ", "lfw: Labeled Faces in the Wild"]


def test_an_incomplete_source_is_exit_code_1(tmp_path):
    write_files(tmp_path, ["celeba-hq/CelebA-HQ-img/0.jpg"])
    result = invoke("sources", tmp_path, "--source", "celeba-hq")
    assert result.exit_code == 1
    assert "29,999 are missing; finish the download" in result.stdout


def test_sources_of_a_folder_that_is_not_there_yet_say_where_to_get_them(tmp_path):
    result = invoke("sources", tmp_path / "downloads", "--source", "lfw")
    assert result.exit_code == 0
    assert "not there; get it from https://" in result.stdout
    assert result.stderr.startswith(f"{tmp_path}/downloads: no such folder yet; make it, and a folder in it for each")


def test_an_unknown_source_takes_one_line():
    result = invoke("sources", "--source", "fhq")
    assert (result.exit_code, result.stderr) == (2, "unknown source 'fhq'; did you mean 'ffhq'?\n")


def test_a_build_and_the_same_again(root, tmp_path):
    (root / "camera/0.jpg").write_bytes(b"")
    arguments = ("build", write_recipe(tmp_path), "--root", root, "--out", tmp_path / "out", "--workers", 1)
    first, again = (invoke(*arguments, "--hold-out", "sdxl") for _ in range(2))
    assert first.stdout.splitlines() == [
        f"{tmp_path}/out: built",
        "6 pictures: 3 train, 3 unseen",
        "6 groups of near duplicates",
        "1 rejected, see rejects.parquet: 1 empty",
    ]
    assert again.stdout == first.stdout.replace(": built", ": was already built")
    other = invoke(*arguments)
    assert (other.exit_code, other.stdout) == (2, "")
    assert other.stderr == f"{tmp_path}/out: holds another dataset, or its sources have changed; name another folder\n"


def test_options_win_over_the_recipe(root, tmp_path):
    recipe = write_recipe(tmp_path, cap=1, seed=5)
    options = ("--cap", 2, "--balance", "--seed", 7, "--partial", "--workers", 1)
    (root / "gan/more.jpg.part").write_bytes(b"half")
    result = invoke("build", recipe, "--root", root, "--out", tmp_path / "out", *options)
    assert result.stdout.splitlines()[1] == "4 pictures: 4 train"
    record = json.loads((tmp_path / "out/build.json").read_text())["recipe"]
    assert (record["cap"], record["balance"], record["seed"]) == (2, True, 7)
    assert [source["partial"] for source in record["sources"]] == [True, True]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seed": -1}, "seed is -1: it must be at least 0"),
        ({"split_fractions": ["a", "b"]}, "split_fractions in recipe is ['a', 'b']: it takes a list of float"),
        ({"history": {"quality": [0, 1]}}, "history in the recipe does not fit: quality is [0, 1]"),
        ({"history": {"quality": 90}}, "history in the recipe does not fit: quality is 90"),
        ({"history": {"size": 280.5}}, "history in the recipe does not fit: size is 280.5"),
        ({"sources": [{**OWN[0], "root": "a\x1b[2J"}]}, "a\\x1b[2J: no such folder; check the path"),
    ],
)
def test_a_slip_takes_plain_lines_and_exit_code_2(root, tmp_path, settings, words):
    result = invoke("build", write_recipe(tmp_path, **settings), "--root", root, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert words in result.stderr.splitlines()[0]
    assert result.stdout == ""


def test_only_refusals_are_answered_so(root, tmp_path, monkeypatch):
    """What is not a ValueError is a defect, and must keep its traceback."""

    def fail(*_: object) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr("fakeface.data.build.recipe.read_build_recipe", fail)
    result = invoke("build", write_recipe(tmp_path), "--root", root, "--out", tmp_path / "out")
    assert isinstance(result.exception, KeyError)


def test_a_recipe_that_is_no_yaml_takes_one_line(root, tmp_path):
    (tmp_path / "recipe.yaml").write_text("sources: [\nseed: 1\n")
    result = invoke("build", tmp_path / "recipe.yaml", "--root", root, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"{tmp_path}/recipe.yaml: not a readable YAML recipe (")
