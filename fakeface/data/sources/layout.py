"""What a source of face pictures is: where it comes from, what it allows, and how it is laid out.

A source is recognised by the paths of its pictures below a folder, with archives counted as folders (see `reader`).
So a publisher's archive may be unpacked or left as it is. `inspect` says what of a source is there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ...utils.label_names import LabelsError, Told, told_by_folders
from .reader import walk
from .reference import UNTOLD, LayoutError, Reference
from .tables import CsvList

REAL, GENERATED = 0, 1
METADATA = ("metadata.csv", "metadata.jsonl")  # as `datasets` calls the lists of an image folder
PATHS = ("path", "file_name", "image")  # columns of lists that nobody published
_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tar\.(gz|bz2|xz))$", re.IGNORECASE)


class Rule(NamedTuple):
    """What pictures are, by their path.

    Attributes:
        pattern: regular expression, searched in the path below the source's folder without regard to case; a group
            named `generator` names the generator.
        label: 0 real, 1 generated; -1 if the container's own column or list tells it.
        generator: `none` for real pictures; empty if the pattern, the column or the list tells it.
        count: pictures in the complete release; 0 if nobody says.
        name: what to call them in messages.
    """

    pattern: str
    label: int
    generator: str
    count: int = 0
    name: str = ""


@dataclass(frozen=True)
class Source:
    """One source.

    Attributes:
        name: as in the column `source`, and the folder it is looked for in.
        title: what its publisher calls it.
        homepage: where it is to be had.
        licence: its name, or what is known of it.
        conditions: what the licence asks for, in a line.
        terms: what the user must do to get it, where a download alone will not do.
        variants: forms of the same pictures, best first; the first that is there is used and the others are left out.
            A variant is a list of rules, and of the rules the first that fits.
        archives: names of all archives of the release; where some of them are there, the others are missing.
        listing: a list that tells what the pictures are, in place of their paths.
        repo: the dataset of the Hub that it is, if it is one: a recipe's `files` are fetched from there.
        derived_from: sources whose pictures these were made from, so that near duplicates of them do not contradict;
            its own name, if generated pictures were made from real ones of the same release.
        own: nobody published it: what tells labels are columns, lists called as in `METADATA`, and names of folders.
        stated: what labels mean that are numbers without names; see `fakeface.utils.label_names`.
    """

    name: str
    title: str = ""
    homepage: str = ""
    licence: str = "unknown"
    conditions: str = ""
    terms: str = ""
    variants: tuple[tuple[Rule, ...], ...] = ()
    archives: tuple[str, ...] = ()
    listing: CsvList | None = None
    repo: str = ""
    derived_from: tuple[str, ...] = ()
    own: bool = False
    stated: tuple[str, ...] = ()

    def match(self, variant: int, reference: Reference) -> tuple[int, int, str] | None:
        """Number of the rule that fits a picture, its label and its generator; None if no rule does.

        Raises LayoutError for a picture that is said to be here but whose label or generator nobody tells.
        """
        for number, rule in enumerate(self.variants[variant]):
            if fit := re.search(rule.pattern, reference.path, re.IGNORECASE):
                label = rule.label if rule.label != UNTOLD else reference.label
                named = fit.groupdict().get("generator", "")
                generator = rule.generator or named or reference.generator
                if label == UNTOLD and self.own:
                    if told := _by_folders(reference):
                        label, generator = told.label, reference.generator or told.deeper or rule.generator
                    elif not (self.listing or reference.container.endswith(".parquet")):
                        return None
                if label == UNTOLD:
                    raise LayoutError(f"{reference.path}: nothing tells whether it is real; give the source a label")
                return number, label, "none" if label == REAL else (generator or "unknown").lower()
        return None


def _by_folders(reference: Reference) -> Told | None:
    """What the folders of a picture say; a table is none, and an archive is one without its suffix."""
    path = reference.container if reference.container.endswith(".parquet") else reference.path
    try:
        return told_by_folders([_ARCHIVE.sub("", name) for name in path.split("/")[:-1]])
    except LabelsError as error:
        raise LayoutError(f"{reference.path}: {error}") from None


@dataclass
class Found:
    """What `inspect` found of one source.

    Attributes:
        variant: which of the source's variants is there; None if none is.
        counts: pictures by number of the rule.
        others: pictures that no rule of the variant fits, such as masks and thumbnails.
        problems: lines that each name what is missing or broken, and the cure.
    """

    variant: int | None = None
    counts: Counter[int] = field(default_factory=Counter)
    others: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def references(source: Source, root: Path, problems: list[str]) -> Iterator[Reference]:
    """All pictures under the source's folder; where the source has a list that is there, those on the list."""
    lists = [source.listing] if source.listing else metadata_lists(root, source.stated) if source.own else []
    found = chain.from_iterable(each.references(root, problems) for each in lists)
    listed = False
    if not lists:
        asked = any(rule.label == UNTOLD for rules in source.variants for rule in rules)
        found = walk(root, problems, source.stated if asked else None)
    for reference in found:
        listed = True
        if any("\ud800" <= letter <= "\udfff" for letter in reference.path):
            problems.append(f"{root}: {reference.path!a} is a name that is not UTF-8; rename it")
        else:
            yield reference
    if source.listing and not listed:
        problems.append(f"{root}: no {source.listing.file}, which says what the pictures are; download it too")


def own_list(name: str, stated: tuple[str, ...] = ()) -> CsvList:
    """A list that nobody published, CSV or JSONL, with the columns `path`, `label` and `generator`."""
    return CsvList(name, PATHS, "", "generator", {}, "label", stated)


def metadata_lists(root: Path, stated: tuple[str, ...] = ()) -> list[CsvList]:
    """The lists in a folder laid out as `imagefolder` of `datasets` is, where they tell labels."""
    lists = [own_list(name, stated) for name in METADATA]
    return [each for each in lists if any(each.tells_labels(file) for file in root.rglob(each.file))]


def inspect(source: Source, root: Path) -> Found:
    """Look through the source's folder; nothing is decoded.

    Args:
        source: what is looked for.
        root: its folder. A folder that is not there is a problem like others.
    """
    found = Found()
    if not root.is_dir():
        found.problems.append(f"{root}: no such folder; {how_to_get(source)}")
        return found
    counts = [Counter[int]() for _ in source.variants]
    total = 0
    for reference in references(source, root, found.problems):
        total += 1
        for variant, counter in enumerate(counts):
            try:
                if fit := source.match(variant, reference):
                    counter[fit[0]] += 1
            except LayoutError as error:
                found.problems.append(f"{root}: {error}")
                return found
    settle(source, root, counts, total, found)
    return found


def settle(source: Source, root: Path, counts: list[Counter[int]], total: int, found: Found) -> None:
    """Choose the variant by the counts of each, and name what is missing from it, in `found`."""
    found.variant = next((i for i, counter in enumerate(counts) if counter), None)
    if found.variant is None:
        what = f"{total:,} pictures, but none laid out as {source.title or source.name} is" if total else "no pictures"
        found.problems.append(f"{root}: {what}; {how_to_get(source)}")
        return
    found.counts = counts[found.variant]
    found.others = total - found.total
    for number, rule in enumerate(source.variants[found.variant]):
        there = found.counts[number]
        if rule.count and there != rule.count:
            gap = rule.count - there
            cure = f"{gap:,} are missing; finish the download" if gap > 0 else f"{-gap:,} too many; is it another set?"
            found.problems.append(f"{root}: {there:,} of {rule.count:,} {rule.name or 'pictures'}; {cure}")
    present = {name for name in source.archives if any(root.rglob(name))}
    if present:
        found.problems += [
            f"{root}: the archive {name} is missing; download it too" for name in source.archives if name not in present
        ]


def how_to_get(source: Source) -> str:
    if not source.homepage:
        return "check the path"
    return f"get it from {source.homepage}" + (f" ({source.terms})" if source.terms else "")


def pictures_source(
    name: str,
    label: str | None,
    generator: str = "",
    csv_file: str = "",
    derived_from: tuple[str, ...] = (),
    stated: tuple[str, ...] = (),
) -> Source:
    """A source that nobody published: any folder, with archives, parquet files or a list in it.

    Args:
        name: for the column `source`.
        label: `real` or `generated`; None if a column, a list, or folders such as `real/` and `fake/GENERATOR/` tell.
        generator: of generated pictures, unless a column, the list or a folder tells.
        csv_file: name of a list, CSV or JSONL, with the columns `path` (or `file_name`, `image`), `label` and
            `generator`.
        derived_from, stated: see `Source`.
    """
    listing = own_list(csv_file, stated) if csv_file else None
    told = {"real": Rule("", REAL, "none"), "generated": Rule("", GENERATED, generator)}
    rule = told[label] if label else Rule("", UNTOLD, generator)
    own = label is None
    if label and listing:  # what is said of all pictures is not asked of each
        listing = replace(listing, label="")
    return Source(name, variants=((rule,),), listing=listing, derived_from=derived_from, own=own, stated=stated)
