"""The sources of face pictures that fakeface knows: where they come from, what they allow, and how they are laid out.

A source is recognised by the paths of its pictures below a folder, with archives counted as folders (see `layouts`).
So a publisher's archive may be unpacked or left as it is. `SOURCES` is the registry, `inspect` says what of a source
is there, and `fakeface data sources ROOT` prints that.

Layouts were looked up in November 2026 where that was possible; comments at the entries say where it was not. Of the
licences those of FFHQ, CelebAMask-HQ, StyleGAN and DeepFakeFace were looked up; check the others at the publisher.
Expected counts are of the complete release.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .layouts import UNTOLD, LayoutError, Reference, walk
from .tables import CsvList

REAL, GENERATED = 0, 1


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
        derived_from: sources whose pictures these were made from, so that near duplicates of them are no contradiction;
            its own name, if generated pictures were made from real ones of the same release.
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
    derived_from: tuple[str, ...] = ()

    def match(self, variant: int, reference: Reference) -> tuple[int, int, str] | None:
        """Number of the rule that fits a picture, its label and its generator; None if no rule does.

        Raises LayoutError for a picture that is said to be here but whose label or generator nobody tells.
        """
        for number, rule in enumerate(self.variants[variant]):
            if fit := re.search(rule.pattern, reference.path, re.IGNORECASE):
                label = rule.label if rule.label != UNTOLD else reference.label
                named = fit.groupdict().get("generator", "")
                generator = rule.generator or named or reference.generator
                if label == UNTOLD:
                    raise LayoutError(f"{reference.path}: nothing tells whether it is real; give the source a label")
                return number, label, "none" if label == REAL else (generator or "unknown").lower()
        return None


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
    found = source.listing.references(root, problems) if source.listing else walk(root, problems)
    listed = False
    for reference in found:
        listed = True
        if any("\ud800" <= letter <= "\udfff" for letter in reference.path):
            problems.append(f"{root}: {reference.path!a} is a name that is not UTF-8; rename it")
        else:
            yield reference
    if source.listing and not listed:
        problems.append(f"{root}: no {source.listing.file}, which says what the pictures are; download it too")


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


# The folder of Stable Diffusion is the one that the notebook names without its generator.
_STABLE = r"stable[-_]?diffusion[^/]*/|(^|/)(sd[^/]*|faces_generated)/"

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        # Layout and counts: the table in the README of NVlabs/ffhq-dataset. Its zips hold one folder each.
        Source(
            "ffhq",
            "Flickr-Faces-HQ",
            "https://github.com/NVlabs/ffhq-dataset",
            "CC BY-NC-SA 4.0; each picture CC BY, CC BY-NC, CC0 or public domain",
            "non-commercial; credit the paper and the authors named in ffhq-dataset-v2.json; share alike",
            variants=(
                (Rule(r"(^|/)images1024x1024(\.zip)?/", REAL, "none", 70_000, "pictures at 1024 px"),),
                (Rule(r"(^|/)ffhq-r10\.tfrecords/", REAL, "none", 70_000, "records at 1024 px"),),
                (Rule(r"(^|/)ffhq[^/]*lmdb/", REAL, "none", 70_000, "pictures in the LMDB"),),
                (Rule(r"(^|/)thumbnails128x128(\.zip)?/", REAL, "none", 70_000, "thumbnails at 128 px"),),
            ),
        ),
        # CelebA-HQ itself is published as differences to CelebA. People use CelebAMask-HQ's JPEG copy, ProGAN's
        # tfrecords, or folders made by scripts; the names of the last were not confirmed by a publisher.
        Source(
            "celeba-hq",
            "CelebA-HQ",
            "https://github.com/switchablenorms/CelebAMask-HQ",
            "CelebA agreement",
            "non-commercial research only; no redistribution of pictures or of parts of them",
            "read and keep to the dataset agreement on that page",
            variants=(
                (Rule(r"(^|/)CelebA-HQ-img/", REAL, "none", 30_000, "pictures of CelebAMask-HQ"),),
                (Rule(r"(^|/)celebahq-r10\.tfrecords/", REAL, "none", 30_000, "records at 1024 px"),),
                (Rule(r"(^|/)celeba[-_]?hq[^/]*lmdb/", REAL, "none", 30_000, "pictures in the LMDB"),),
                (Rule(r"(^|/)(data1024x1024|celeba[-_]?hq[-_]?(1024|512|256))(\.zip)?/", REAL, "none", 30_000),),
            ),
        ),
        # Borji (Quintic AI), "Generated Faces in the Wild", arXiv 2210.00586: 30,000 real faces cut from COCO's
        # training pictures. His notebooks (aliborji/GFW) name the folders `real_faces` or `real_data`, with
        # 00000.jpeg, and `lfw_resize` for LFW at 100 px. The archive behind the link could not be opened: the names
        # in it may differ, and so the patterns are wide.
        Source(
            "gfw-real",
            "GFW, real faces (Quintic AI)",
            "https://github.com/aliborji/GFW",
            "not stated; COCO's pictures are under Flickr users' licences, LFW's under news agencies' rights",
            "research only; ask the authors for anything else",
            "the data hang on a Google Drive link in the README",
            variants=(
                (
                    Rule(r"(^|/)lfw[^/]*/", REAL, "none", 13_233, "LFW crops"),
                    Rule(r"(^|/)(coco[^/]*|real[-_]?(faces?|data))/", REAL, "none", 30_000, "COCO crops"),
                ),
            ),
        ),
        # What people have is the free academic set of 10,000, or what the API gave them: no fixed layout, so every
        # picture in the folder counts, and no count is expected.
        Source(
            "generated-photos",
            "Generated Photos",
            "https://generated.photos/datasets",
            "Generated Photos licence",
            "free for academic use with attribution by agreement; else paid; no training of competing generators",
            "apply for the academic dataset on that page",
            variants=((Rule("", GENERATED, "generated.photos"),),),
        ),
        # 100K Faces (September 2019) is StyleGAN trained on studio photographs, by the people of Generated Photos; its
        # folders were not confirmed. NVlabs' samples: README of NVlabs/stylegan, ffhq-1024x1024 below
        # 100k-generated-images. The folders of truncations in it are as in StyleGAN2's release, not confirmed.
        Source(
            "stylegan",
            "StyleGAN: 100K Faces and NVlabs' samples",
            "https://github.com/NVlabs/stylegan",
            "CC BY-NC 4.0 (NVlabs); 100K Faces: free with a link to generated.photos",
            "non-commercial; credit the paper",
            "the samples hang on a Google Drive link in the README",
            variants=(
                (
                    Rule(r"(^|/)(ffhq-1024x1024|stylegan-ffhq)(\.zip)?/", GENERATED, "stylegan", 0, "NVlabs' samples"),
                    Rule(
                        r"(^|/)(100k[-_]?faces?|generated[-_.]yellow)[^/]*/",
                        GENERATED,
                        "stylegan",
                        0,
                        "pictures of 100K Faces",
                    ),
                ),
            ),
        ),
        # README of NVlabs/stylegan2: 100k-generated-images/ffhq-1024x1024/stylegan2-config-f-psi-{0.5,1.0}/000000/
        # 000000.png, confirmed by paths in public code. Crawls of thispersondoesnotexist.com have no publisher.
        Source(
            "stylegan2",
            "StyleGAN2: NVlabs' samples and thispersondoesnotexist.com",
            "https://github.com/NVlabs/stylegan2",
            "Nvidia Source Code License-NC (NVlabs); thispersondoesnotexist.com states none",
            "non-commercial; credit the paper",
            "the samples hang on a Google Drive link in the README",
            variants=(
                (
                    Rule(r"(^|/)(stylegan2-ffhq[^/]*|ffhq-1024x1024(\.zip)?)/", GENERATED, "stylegan2", 0, "samples"),
                    Rule(
                        r"(^|/)(this-?person-?does-?not-?exist|tpdne)[^/]*/",
                        GENERATED,
                        "stylegan2",
                        0,
                        "crawled pictures",
                    ),
                ),
            ),
        ),
        # Paper and notebook as at gfw-real. 15,076 pictures in all (abstract), 6,350 of Midjourney in the folder
        # faces_generated_midjourney (notebook). That 8,050 and 676 are the shares of the others is the paper's table
        # from memory; the sum is right. Names of the other two folders are guessed from the first.
        Source(
            "gfw-generated",
            "GFW, generated faces (Quintic AI)",
            "https://github.com/aliborji/GFW",
            "not stated; the generators' terms of use apply",
            "research only; ask the authors for anything else",
            "the data hang on a Google Drive link in the README",
            variants=(
                (
                    Rule(r"mid[-_]?(journey|faces)[^/]*/", GENERATED, "midjourney", 6_350, "Midjourney faces"),
                    Rule(r"dall[-_]?e[^/]*/", GENERATED, "dall-e-2", 676, "DALL-E 2 faces"),
                    Rule(_STABLE, GENERATED, "stable-diffusion-1.4", 8_050, "Stable Diffusion faces"),
                ),
            ),
        ),
        # lfw.tgz and lfw-deepfunneled.tgz hold lfw/Aaron_Eckhart/Aaron_Eckhart_0001.jpg; 13,233 pictures.
        Source(
            "lfw",
            "Labeled Faces in the Wild",
            "https://vis-www.cs.umass.edu/lfw/",
            "not stated; press photographs",
            "research only",
            variants=((Rule(r"lfw[^/]*/(.*/)?([^/]+)/\2_\d{4}\.jpg$", REAL, "none", 13_233, "pictures"),),),
        ),
        # Folders and CSV columns (original_path, id, label, label_str, path) as public code reads them. In its CSVs 1
        # means real; the folders say the same and are used here. Real ones are FFHQ at 256 px, so that both together
        # make near duplicates; generated ones are of the "1 million fake faces", which is StyleGAN.
        Source(
            "140k-faces",
            "140k Real and Fake Faces",
            "https://www.kaggle.com/datasets/xhlulu/140k-real-and-fake-faces",
            "as FFHQ (CC BY-NC-SA 4.0) and StyleGAN (CC BY-NC 4.0)",
            "non-commercial; credit both papers",
            "sign in to Kaggle to download",
            variants=(
                (
                    Rule(r"(train|valid|test)/real/", REAL, "none", 70_000, "real pictures"),
                    Rule(r"(train|valid|test)/fake/", GENERATED, "stylegan", 70_000, "generated pictures"),
                ),
            ),
        ),
        # The card of OpenRL/DeepFakeFace: four zips of 30,000. Inpainting and insight change photographs of wiki.zip,
        # which stays the background of the picture.
        Source(
            "deepfakeface",
            "DeepFakeFace",
            "https://huggingface.co/datasets/OpenRL/DeepFakeFace",
            "Apache 2.0 (OpenRL); the photographs are IMDB-WIKI's",
            "IMDB-WIKI: academic research only",
            variants=(
                (
                    Rule(r"(^|/)wiki(\.zip)?/", REAL, "none", 30_000, "pictures of wiki"),
                    Rule(
                        r"(^|/)inpainting(\.zip)?/", GENERATED, "stable-diffusion-inpainting", 30_000, "of inpainting"
                    ),
                    Rule(r"(^|/)insight(\.zip)?/", GENERATED, "insightface", 30_000, "of insight"),
                    Rule(r"(^|/)text2img(\.zip)?/", GENERATED, "stable-diffusion-1.5", 30_000, "of text2img"),
                ),
            ),
            archives=("wiki.zip", "inpainting.zip", "insight.zip", "text2img.zip"),
            derived_from=("deepfakeface",),
        ),
        # README and explore_dataset.py of SelfishGene/SFHQ-T2I-dataset: images/, and SFHQ_T2I_dataset.csv with
        # image_filename and model_used. The counts by model in the README add up to 122,726.
        Source(
            "sfhq-t2i",
            "SFHQ-T2I",
            "https://www.kaggle.com/datasets/selfishgene/sfhq-t2i-synthetic-faces-from-text-2-image-models",
            "MIT; the generators' terms of use apply",
            "credit the author",
            "sign in to Kaggle to download",
            variants=((Rule("", GENERATED, "", 122_726, "pictures"),),),
            listing=CsvList(
                "SFHQ_T2I_dataset.csv",
                ("image_filename",),
                "images",
                "model_used",
                {
                    "FLUX1_pro": "flux.1-pro",
                    "FLUX1_dev": "flux.1-dev",
                    "FLUX1_schnell": "flux.1-schnell",
                    "SDXL": "sdxl",
                    "DALLE3": "dall-e-3",
                },
            ),
        ),
    )
}


def pictures_source(
    name: str, label: str | None, generator: str = "", csv_file: str = "", derived_from: tuple[str, ...] = ()
) -> Source:
    """A source that nobody published: any folder, with archives, parquet files or a CSV list in it.

    Args:
        name: for the column `source`.
        label: `real` or `generated`; None if a column, the list, or folders `real/` and `generated/GENERATOR/` tell.
        generator: of generated pictures, unless a column, the list or a folder tells.
        csv_file: name of a CSV list with the columns `path` (or `file_name`, `image`), `label` and `generator`.
        derived_from: see `Source`.
    """
    listing = CsvList(csv_file, ("path", "file_name", "image"), "", "generator", {}, "label") if csv_file else None
    if label is not None:
        rules = [Rule("", REAL, "none") if label == "real" else Rule("", GENERATED, generator)]
    elif listing:
        rules = [Rule("", UNTOLD, generator)]
    else:
        rules = [
            Rule(r"(^|/)real/", REAL, "none"),
            Rule(r"(^|/)generated/(?P<generator>[^/]+)/", GENERATED, ""),
            Rule(r"(^|/)generated/", GENERATED, generator),
            Rule(r"\.parquet/", UNTOLD, generator),
        ]
    return Source(name, variants=(tuple(rules),), listing=listing, derived_from=derived_from)
