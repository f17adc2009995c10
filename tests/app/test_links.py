"""Where the page points."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from fakeface import Result
from fakeface.app import links


def test_only_what_is_known_is_pointed_to(tmp_path: Path):
    assert links.links(tmp_path, None, None).count("<a ") == 1
    shown = links.links("someone/model", "https://github.com/someone/code", "https://docs.example/")
    assert [words in shown for words in ("Model card", "Source", "Documentation", "Licence")] == [True] * 4
    assert 'href="https://huggingface.co/someone/model"' in shown
    assert shown.count("noreferrer") == 4


@pytest.mark.parametrize(
    ("source", "page", "field"),
    [
        ("https://github.com/someone/code", "/someone/code/issues/new", "body"),
        ("https://huggingface.co/spaces/someone/space", "/spaces/someone/space/discussions/new", "description"),
    ],
)
def test_a_report_says_what_was_found_and_not_of_whom(source: str, page: str, field: str):
    address = urlsplit(links.report(source, Result("Ada & Bob.jpg", 0.97, "generated"), "fakeface 1, model tiny"))
    said = parse_qs(address.query)
    assert address.path == page
    assert said["title"] == ["Wrong verdict: generated"]
    assert "score 0.970, faces: 0" in said[field][0]
    assert "fakeface 1, model tiny" in said[field][0]
    assert "Ada" not in address.query
