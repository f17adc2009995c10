"""Raw downloads, made by code: pictures, and the containers that publishers put them in."""

import csv
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(seed: int, side: int = 32) -> Image.Image:
    """Coarse noise: perceptual hashes of different seeds are far apart."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


def encoded(seed: int, format_: str = "JPEG", side: int = 32, **options) -> bytes:
    buffer = io.BytesIO()
    picture(seed, side).save(buffer, format_, **options)
    return buffer.getvalue()


def write_files(root: Path, names: Iterable[str], first: int = 0) -> None:
    """A different picture under each name."""
    for seed, name in enumerate(names, first):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(seed, "PNG" if name.endswith(".png") else "JPEG"))


def write_zip(file: Path, members: Mapping[str, bytes]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file


def write_tar(file: Path, members: Mapping[str, bytes], mode: str = "w:gz") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file


def write_csv(file: Path, rows: list[dict[str, str]]) -> Path:
    with open(file, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def write_parquet(file: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=2)
    return file


def write_lmdb(folder: Path, items: Mapping[str, bytes]) -> Path:
    import lmdb

    folder.parent.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(folder), map_size=2**24) as environment, environment.begin(write=True) as transaction:
        for key, value in items.items():
            transaction.put(key.encode(), value)
    return folder


def write_tfrecord(file: Path, records: Iterable[Mapping[str, bytes | list[int]]]) -> Path:
    """Records of `tf.train.Example`; the checksums, which nobody here reads, are zero."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "wb") as stream:
        for record in records:
            data = field(1, b"".join(field(1, _feature(name, value)) for name, value in record.items()))
            stream.write(struct.pack("<Q", len(data)) + bytes(4) + data + bytes(4))
    return file


def nvidia_record(seed: int, side: int = 32) -> dict[str, bytes | list[int]]:
    """As `dataset_tool.py` of StyleGAN writes it: bare pixels, CxHxW."""
    pixels = np.asarray(picture(seed, side)).transpose(2, 0, 1)
    return {"shape": list(pixels.shape), "data": pixels.tobytes()}


def _feature(name: str, value: bytes | list[int]) -> bytes:
    return field(1, name.encode()) + field(2, _values(value))


def _values(value: bytes | list[int]) -> bytes:
    if isinstance(value, bytes):
        return field(1, field(1, value))
    return field(3, field(1, b"".join(map(_varint, value))))


def field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])
