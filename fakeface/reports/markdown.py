"""Tables and figures in Markdown."""

from typing import Any


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; names in it are untrusted, and must not pass for another cell or line."""
    lines = [head, ["---"] * len(head), *([escaped(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).replace("|", "\\|").replace("<", "&lt;")


def figure(row: dict[str, Any], name: str) -> str:
    """`0.987 (0.981–0.992)`, or a dash where it could not be measured."""
    if row.get(name) is None:
        return "–"
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.3f} ({low:.3f}–{high:.3f})"


def percent(row: dict[str, Any], name: str) -> str:
    """`1.2 % (0.6–2.3)`, or a dash where there are too few pictures."""
    if row.get(name) is None:
        return "–"
    low, high = row[f"{name}_interval"]
    return f"{100 * row[name]:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


__all__ = ["escaped", "figure", "percent", "table"]
