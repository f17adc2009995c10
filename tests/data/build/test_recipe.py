"""Recipes of datasets: what they may say, and how a slip is answered."""

import pytest

from fakeface.data.build.recipe import BuildRecipe, Choice, build_recipe, read_build_recipe
from fakeface.recipe import RecipeError

OWN = {"source": "pictures", "name": "mine"}


def refusal(values) -> str:
    with pytest.raises(RecipeError) as error:
        build_recipe(values)
    return str(error.value)


def test_a_name_alone_is_a_source():
    recipe = build_recipe({"sources": ["ffhq", {"source": "lfw", "cap": 5}]})
    assert recipe == BuildRecipe([Choice("ffhq"), Choice("lfw", cap=5)])
    assert [choice.folder for choice in recipe.sources] == ["ffhq", "lfw"]


def test_every_shipped_recipe_builds(repo):
    recipes = {file.stem: read_build_recipe(file) for file in (repo / "configs/data").glob("*.yaml")}
    assert len(recipes["seed"].sources) == 7
    assert all(choice.hub_repo and choice.partial for choice in recipes["modern"].sources)
    assert recipes["pool"].hold_out == ["faceshape", "stylegan2-nvlabs", "sfhq-e4e"]


def test_overrides_win_over_the_file(tmp_path):
    (tmp_path / "r.yaml").write_text("sources: [ffhq]\nseed: 3\ncap: 7\n")
    recipe = read_build_recipe(tmp_path / "r.yaml", {"seed": 4})
    assert (recipe.seed, recipe.cap) == (4, 7)


def test_whole_numbers_pass_for_floats():
    recipe = build_recipe({"sources": ["ffhq"], "face_margin": 2, "split_fractions": [0, 0.5]})
    assert (repr(recipe.face_margin), repr(recipe.split_fractions)) == ("2.0", "[0.0, 0.5]")


def test_a_source_of_ones_own():
    choice = Choice("pictures", "mine", root="somewhere", label="generated", generator="sdxl", derived_from=["ffhq"])
    source = choice.resolve()
    assert (choice.title, choice.folder) == ("mine", "somewhere")
    assert (source.name, source.derived_from) == ("mine", ("ffhq",))
    assert source.variants[0][0][1:3] == (1, "sdxl")


def test_a_dataset_of_the_hub_has_a_homepage():
    assert Choice("hub", "theirs", repo="some/faces").resolve().homepage == "https://huggingface.co/datasets/some/faces"


def test_what_is_fetched_from_the_hub():
    assert Choice("hub", "theirs", repo="some/faces").is_fetched
    known = Choice("openfake", files=["core/test-*"])
    assert (known.is_fetched, known.hub_repo) == (True, "ComplexDataLab/OpenFake")
    assert not Choice("openfake").is_fetched  # a folder that is there already


def test_a_renamed_source_is_derived_from_its_new_name():
    assert Choice("deepfakeface", "dff", derived_from=["ffhq"]).resolve().derived_from == ("dff", "ffhq")


def test_caps_of_a_source_come_first():
    recipe = build_recipe({"sources": ["ffhq", {"source": "lfw", "cap": 5}], "cap": 9})
    assert [recipe.cap_of(choice) for choice in recipe.sources] == [9, 5]


def test_partial_for_all():
    recipe = build_recipe({"sources": ["ffhq", "lfw"]}).with_partial_sources()
    assert [choice.partial for choice in recipe.sources] == [True, True]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("fhq", "unknown source: 'fhq'; did you mean 'ffhq'?"),
        ({"name": "x"}, "sources has the entry {'name': 'x'}: it takes `source: NAME` and settings"),
        (7, "sources has the entry 7: it takes `source: NAME` and settings"),
        ({"source": ["ffhq"]}, "source in source ['ffhq'] is ['ffhq']: it takes str"),
        ({"source": "ffhq", "capp": 1}, "unknown key in source 'ffhq': 'capp'; did you mean 'cap'?"),
        ({"source": "ffhq", "cap": True}, "cap in source 'ffhq' is True: it takes int"),
        ({"source": "ffhq", "cap": -1}, "source 'ffhq' has the cap -1; it must be positive, or 0 for all"),
        ({"source": "ffhq", "label": "real"}, "source 'ffhq' is known: its label, generator and lists are not yours"),
        ({"source": "ffhq", "derived_from": [["a"]]}, "derived_from in source 'ffhq' is [['a']]: it takes a list of"),
        ({"source": "pictures"}, "a source of kind 'pictures' needs a `name`"),
        ({"source": "hub", "name": "x"}, "source 'x' is of the Hub and needs a `repo`, such as nobody/faces"),
        ({"source": "sfhq-t2i", "files": ["*"]}, "source 'sfhq-t2i' is none of the Hub: there are no files to fetch"),
        ({**OWN, "files": ["*"]}, "source 'mine' is none of the Hub: there are no files to fetch"),
        ({**OWN, "label": "fake"}, "source 'mine' has the label 'fake'; it takes real or generated"),
        ({**OWN, "root": "../x"}, "source 'mine' has the root '../x'; it must lie below the root folder"),
        ({**OWN, "root": "/x"}, "source 'mine' has the root '/x'; it must lie below the root folder"),
        ({**OWN, "csv": "../x.csv"}, "source 'mine' has the csv '../x.csv'; it takes the name of a file, no path"),
        ({**OWN, "csv": "/x.csv"}, "source 'mine' has the csv '/x.csv'"),
        ({**OWN, "csv": ".."}, "source 'mine' has the csv '..'"),
        ({**OWN, "csv": "*.csv"}, "source 'mine' has the csv '*.csv'"),
    ],
)
def test_a_wrong_source_is_refused(entry, message):
    assert refusal({"sources": [entry]}).startswith(message)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sources": []}, "the recipe has no sources"),
        ({"sources": None}, "sources in recipe is None: it takes list"),
        ({"sources": ["ffhq", "ffhq"]}, "two sources are called 'ffhq'; give one a `name` of its own"),
        ({"sead": 1}, "unknown key in recipe: 'sead'; did you mean 'seed'?"),
        ({"seed": -1}, "seed is -1: it must be at least 0"),
        ({"seed": 1.5}, "seed in recipe is 1.5: it takes int"),
        ({"split_fractions": ["a", "b"]}, "split_fractions in recipe is ['a', 'b']: it takes a list of float"),
        ({"split_fractions": [[0.1], 0.2]}, "split_fractions in recipe is [[0.1], 0.2]: it takes a list of float"),
        ({"split_fractions": [False, False]}, "split_fractions in recipe is [False, False]: it takes a list of float"),
        ({"split_fractions": [10**400, 0]}, "split_fractions in recipe is [1000"),
        ({"split_fractions": [0.5, 0.5]}, "split_fractions is [0.5, 0.5]: two shares that leave some for training"),
        ({"split_fractions": [0.1]}, "split_fractions is [0.1]: two shares"),
        ({"split_fractions": [-0.1, 0.2]}, "split_fractions is [-0.1, 0.2]: two shares"),
        ({"split_fractions": [float("nan"), 0.2]}, "split_fractions is [nan, 0.2]: two shares"),
        ({"hold_out": [["a"]]}, "hold_out in recipe is [['a']]: it takes a list of str"),
        ({"hold_out": "a"}, "hold_out in recipe is 'a': it takes list"),
        ({"face_margin": 0.5}, "face_margin is 0.5: it takes 1 to 8"),
        ({"face_margin": float("nan")}, "face_margin is nan: it takes 1 to 8"),
        ({"face_margin": 10**400}, "face_margin in recipe is 1000"),
        ({"distance": 17}, "distance is 17: it takes 0 to 16 bits"),
        ({"rows_per_shard": 0}, "rows_per_shard must be at least 1"),
        ({"cap": -1}, "rows_per_shard must be at least 1, and cap positive or 0"),
        ({"contradictions": "ignore"}, "contradictions is 'ignore': it takes set-aside or refuse"),
        ({"history": "raw"}, "history is 'raw': it takes settings, or the word native"),
        ({"history": [1]}, "history in recipe is [1]: it takes dict or str"),
        ({"faces": True, "history": "native"}, "faces cuts pictures"),
    ],
)
def test_a_wrong_key_is_refused(values, message):
    assert refusal({"sources": ["ffhq"], **values}).startswith(message)
