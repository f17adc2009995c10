"""The report: one HTML file that loads nothing, in which nothing of a stranger's is taken for markup."""

import json
import re
from html.parser import HTMLParser

import pytest
from planted import other_quality, planted

from fakeface.data.audit.report import as_html, write_audit
from fakeface.data.audit.run import audit

NASTY = '<script>alert(1)</script> $x^{$ "quoted" & more'


@pytest.fixture(scope="module")
def result():
    data = planted(52, quality=other_quality)
    data = data.map(lambda row: {"source": NASTY if row["source"] == "gan-a" else row["source"]})
    found = audit(data, name=NASTY)
    found.report["transforms"] = [
        {"transform": "blur", "auc": 0.9, "shift_real": 0.1, "shift_generated": -0.2}
        | {f"auc_{word}_changed": 0.8 for word in ("real", "generated")}
        | {f"auc_{word}_changed_interval": [0.7, 0.9] for word in ("real", "generated")}
    ]
    return found


class Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.loads = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "action")]


def test_nothing_is_loaded_and_nothing_runs(result):
    page = as_html(result)
    elements = Elements()
    elements.feed(page)
    assert not elements.tags & {"script", "link", "iframe", "object", "embed", "form"}
    assert elements.loads
    assert all(value.startswith(("data:image/jpeg;base64,", "#")) for value in elements.loads)
    assert re.findall(r"url\((?!#)", page) == []
    assert "default-src 'none'" in page


def test_names_are_shown_as_they_are_and_not_as_markup(result):
    page = as_html(result)
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_it_shows_the_verdict_plots_and_pictures(result):
    page = as_html(result)
    assert "JPEG quality: gives the label away" in page
    assert page.count("<svg") >= 2
    assert page.count("<img") >= 8
    assert "+0.100" in page
    assert "-0.200" in page


def test_the_same_audit_gives_the_same_page(result):
    assert as_html(result) == as_html(result)


def test_json_is_written_beside_it(result, tmp_path):
    beside = write_audit(result, tmp_path / "deeper" / "audit.html")
    assert beside == tmp_path / "deeper" / "audit.json"
    assert json.loads(beside.read_text())["verdict"] == result.report["verdict"]
    assert "base64" not in beside.read_text()


def test_what_cannot_be_written_is_named(result, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file.*: cannot be written"):
        write_audit(result, tmp_path / "file" / "audit.html")
    with pytest.raises(ValueError, match=r"its JSON goes beside it"):
        write_audit(result, tmp_path / "audit.json")
