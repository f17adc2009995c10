"""The list of sources."""

import pytest
from raw import write_files

from fakeface.data.sources.layout import Found, Source
from fakeface.data.sources.listing import Listed, describe, list_sources
from fakeface.data.sources.reference import LayoutError
from fakeface.data.sources.registry import SOURCES


def test_all_sources_in_the_registrys_order():
    listed = list(list_sources())
    assert [entry.source.name for entry in listed] == list(SOURCES)
    assert all(entry.whole and entry.found is None for entry in listed)


def test_only_those_that_are_named(tmp_path):
    write_files(tmp_path, ["celeba-hq/CelebA-HQ-img/0.jpg"])
    first, second = list_sources(tmp_path, ["lfw", "celeba-hq"])
    assert (first.source.name, first.found is not None, first.whole) == ("celeba-hq", True, False)
    assert (second.source.name, second.found, second.whole) == ("lfw", None, True)


@pytest.mark.parametrize(("name", "hint"), [("celebahq", "; did you mean 'celeba-hq'?"), ("xyzzy", "")])
def test_an_unknown_name_is_refused(name, hint):
    with pytest.raises(LayoutError) as error:
        list(list_sources(None, [name]))
    assert str(error.value) == f"unknown source {name!r}{hint}"


def test_a_root_that_is_not_there_yet_is_one_without_a_source(tmp_path):
    assert list(list_sources(tmp_path / "nowhere", ["lfw"])) == [Listed(SOURCES["lfw"], None)]


def test_a_file_is_no_root(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LayoutError, match="file: a file, not a folder; name the one that holds a folder for each"):
        list(list_sources(tmp_path / "file"))


def test_a_source_that_is_not_there_says_how_to_get_it():
    assert describe(Listed(SOURCES["celeba-hq"], None)).splitlines() == [
        "celeba-hq: CelebA-HQ",
        "  real, 30,000 pictures",
        "  licence: CelebA agreement",
        "  conditions: non-commercial research only; no redistribution of pictures or of parts of them",
        "  not there; get it from https://github.com/switchablenorms/CelebAMask-HQ "
        "(read and keep to the dataset agreement on that page)",
    ]


def test_what_is_found_and_what_is_missing(tmp_path):
    write_files(tmp_path, ["gfw-generated/midjourney/0.jpg", "gfw-generated/dalle/0.jpg", "gfw-generated/other/0.jpg"])
    (entry,) = list_sources(tmp_path, ["gfw-generated"])
    lines = describe(entry).splitlines()
    assert lines[1] == "  generated (midjourney, dall-e-2, stable-diffusion-1.4), 15,076 pictures"
    assert lines[4:] == [
        "  found: 1 Midjourney faces, 1 DALL-E 2 faces; 1 other pictures are left out",
        f"  ! {tmp_path}/gfw-generated: 1 of 6,350 Midjourney faces; 6,349 are missing; finish the download",
        f"  ! {tmp_path}/gfw-generated: 1 of 676 DALL-E 2 faces; 675 are missing; finish the download",
        f"  ! {tmp_path}/gfw-generated: 0 of 8,050 Stable Diffusion faces; 8,050 are missing; finish the download",
    ]


def test_both_labels_and_listed_generators_are_named():
    lines = {name: describe(Listed(SOURCES[name], None)).splitlines()[1] for name in ("140k-faces", "sfhq-t2i")}
    assert lines["140k-faces"] == "  real and generated (stylegan), 140,000 pictures"
    assert lines["sfhq-t2i"].startswith("  generated (flux.1-pro, flux.1-dev, ")
    openfake = describe(Listed(SOURCES["openfake"], None)).splitlines()[1]
    assert (
        openfake == "  real and generated, no fixed number of pictures"
    )  # its tables tell which; -1 was once the last
    assert describe(Listed(SOURCES["stylegan"], None)).splitlines()[1].endswith(", no fixed number of pictures")


def test_names_of_files_do_not_steer_the_terminal():
    found = Found(problems=["a\x1b[2J.zip: broken"])
    own = Source("own", variants=SOURCES["lfw"].variants)
    assert describe(Listed(own, found)).splitlines()[-1] == "  ! a\\x1b[2J.zip: broken"
