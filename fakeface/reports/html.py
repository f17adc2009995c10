"""Parts of self-contained HTML pages: drawings, thumbnails and the template engine. Nothing in them loads anything."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ..images.load import load_picture

THUMBNAIL = 112  # pixels
COLOURS = ("#2563eb", "#c2410c")  # real, generated; told apart by people with any colour vision


def templates(folder: Path, **filters: Callable[..., Any]) -> Environment:
    """Templates of a folder; names and messages come from outside and are escaped."""
    pages = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    pages.filters.update(filters)
    return pages


def thumbnail(image: Any) -> str:
    """A picture as a small data address: decoded and saved anew, so that no byte from outside stays."""
    picture = load_picture(image)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return data_address(buffer.getvalue(), "image/jpeg")


def data_address(content: bytes, kind: str) -> str:
    """Bytes of our own making as an address that holds them; `kind` is their MIME type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def svg(draw: Callable[[Any], None], size: tuple[float, float], title: str) -> Markup:
    """A figure of matplotlib as an inline SVG: no font, no date, the same bytes for the same figure.

    Args:
        draw: fills a `matplotlib.figure.Figure`.
        size: width and height in inches.
        title: for those who cannot see it.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "fakeface",
        "text.parse_math": False,
        "font.size": 10,
    }
    with rc_context(settings):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    drawing = buffer.getvalue()
    # What stands before the element is for files of their own.
    words = f'<svg role="img" aria-label="{escape(title)}" '
    return Markup(drawing[drawing.index("<svg") :].replace("<svg ", words, 1))
