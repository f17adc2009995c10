"""Sheets of small pictures with captions, for figures."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

TILE = 160  # pixels of a picture in a sheet
GAP = 8
LETTERS = 13  # pixels
COLUMNS = 8

Cell = tuple[Image.Image, str]


def sheet(rows: Sequence[Sequence[Cell]], tile: int = TILE) -> Image.Image:
    """Pictures with captions, on white.

    Args:
        rows: of pictures and their captions; a caption too long for its picture is cut.
        tile: side in pixels that each picture is brought to; small ones are enlarged without smoothing.
    """
    font = ImageFont.load_default(LETTERS)
    captions = any(caption for row in rows for _, caption in row)
    step = tile + GAP + (LETTERS + 4 if captions else 0)
    whole = Image.new("RGB", (GAP + max(map(len, rows)) * (tile + GAP), GAP + len(rows) * step), "white")
    pen = ImageDraw.Draw(whole)
    for down, row in enumerate(rows):
        for across, (picture, caption) in enumerate(row):
            left, top = GAP + across * (tile + GAP), GAP + down * step
            smooth = Image.Resampling.NEAREST if picture.width < tile else Image.Resampling.BICUBIC
            whole.paste(picture.convert("RGB").resize((tile, tile), smooth), (left, top))
            while pen.textlength(caption, font) > tile:
                caption = caption[:-1]
            pen.text((left, top + tile + 1), caption, "black", font)
    return whole


def flowing(groups: Sequence[Sequence[Cell]], columns: int = COLUMNS) -> list[list[Cell]]:
    """Rows of at most so many pictures, in which those of a group stay together."""
    rows: list[list[Cell]] = [[]]
    for group in groups:
        if rows[-1] and len(rows[-1]) + len(group) > columns:
            rows.append([])
        rows[-1] += group
    return rows


__all__ = ["COLUMNS", "Cell", "flowing", "sheet"]
