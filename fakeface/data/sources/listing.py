"""The list of sources that `fakeface data sources` prints."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...results import LABELS
from .layout import Found, Source, how_to_get, inspect
from .reference import UNTOLD, LayoutError
from .registry import SOURCES


@dataclass(frozen=True)
class Listed:
    """A source, and what is there of it; None where no root was given, or it has no folder there."""

    source: Source
    found: Found | None

    @property
    def whole(self) -> bool:
        return self.found is None or not self.found.problems


def list_sources(root: Path | None = None, names: list[str] | None = None) -> Iterator[Listed]:
    """The registry's sources in its order, those named if any are, each looked for in `root/NAME`.

    Raises:
        LayoutError: an unknown name, or a root that is a file.
    """
    for name in names or []:
        if name not in SOURCES:
            near = difflib.get_close_matches(name, SOURCES, n=1)
            raise LayoutError(f"unknown source {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    if root is not None and root.exists() and not root.is_dir():
        raise LayoutError(f"{root}: a file, not a folder; name the one that holds a folder for each source")
    for source in SOURCES.values():
        if not names or source.name in names:
            there = root is not None and (root / source.name).is_dir()
            yield Listed(source, inspect(source, root / source.name) if root is not None and there else None)


def describe(listed: Listed) -> str:
    """A few lines for the terminal."""
    source, found = listed.source, listed.found
    lines = [f"{source.name}: {source.title}", f"  {_contents(source)}", f"  licence: {source.licence}"]
    if source.conditions:
        lines.append(f"  conditions: {source.conditions}")
    if found is None:
        lines.append(f"  not there; {how_to_get(source)}")
        return "\n".join(lines)
    if found.variant is not None:
        rules = source.variants[found.variant]
        parts = [f"{found.counts[i]:,} {rule.name or 'pictures'}" for i, rule in enumerate(rules) if found.counts[i]]
        others = f"; {found.others:,} other pictures are left out" if found.others else ""
        lines.append(f"  found: {', '.join(parts)}{others}")
    lines += ["  ! " + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in found.problems]
    return "\n".join(lines)


def _contents(source: Source) -> str:
    rules = source.variants[0]
    told = [label for rule in rules for label in (LABELS if rule.label == UNTOLD else (LABELS[rule.label],))]
    labels = " and ".join(dict.fromkeys(told))
    listed = source.listing.generators.values() if source.listing else ()
    generators = dict.fromkeys([*(rule.generator for rule in rules if rule.generator not in ("", "none")), *listed])
    total = sum(rule.count for rule in rules)
    by = f" ({', '.join(generators)})" if generators else ""
    return f"{labels}{by}, {f'{total:,} pictures' if total else 'no fixed number of pictures'}"
