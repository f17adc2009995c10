"""Where the page points: the model's card, the source, the documentation, and where a wrong verdict is reported."""

from html import escape
from pathlib import Path
from urllib.parse import urlencode

from ..results import Result

HUB = "https://huggingface.co/"
LICENCE = "https://www.apache.org/licenses/LICENSE-2.0"
QUESTIONS = """
- What the picture is, and where it comes from:
- How you know whether it is a photograph:

Please attach no picture of a person who has not agreed to it.
"""


def link(address: str, words: str) -> str:
    """A link that leaves the page open, and tells the other site nothing."""
    return f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer">{words}</a>'


def links(model: str | Path, source: str | None, docs: str | None) -> str:
    """Those that are known, in a row."""
    known = {"Source": source, "Documentation": docs, "Licence": LICENCE}
    if not Path(model).is_dir():  # then it is an id of the Hub
        known = {"Model card": f"{HUB}{model}", **known}
    items = "".join(f"<li>{link(address, words)}</li>" for words, address in known.items() if address)
    return f'<ul class="links" aria-label="About this page">{items}</ul>'


def report(source: str, result: Result, model: str) -> str:
    """The address of an issue at the source, or of a discussion of a Space, that says what was found.

    Neither the picture nor its name, which may be a person's, is in it.
    """
    title = f"Wrong verdict: {result.verdict}"
    score = "" if result.score is None else f", score {result.score:.3f}"
    body = f"- Verdict: {result.verdict}{score}, faces: {len(result.faces)}\n- Judged by: {model}{QUESTIONS}"
    if source.startswith(HUB):
        return f"{source}/discussions/new?{urlencode({'title': title, 'description': body})}"
    return f"{source}/issues/new?{urlencode({'title': title, 'body': body})}"
