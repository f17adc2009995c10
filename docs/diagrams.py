"""MkDocs hook: draws Mermaid diagrams while the site is built, so that no page loads a script from another site."""

from typing import Any

import mermaidx
from mkdocs.config.defaults import MkDocsConfig


def draw(source: str, *_: Any, **__: Any) -> str:
    """A fenced block `mermaid` as SVG; pymdownx.superfences passes what else it knows of the block."""
    return f'<div class="diagram">{mermaidx.render(source).svg()}</div>'


def on_config(config: MkDocsConfig) -> None:
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {})
    fences["custom_fences"] = [{"name": "mermaid", "class": "diagram", "format": draw}]
