"""Unpack the shared pool into folders as raw downloads have them: ROOT/SOURCE/…, one file a picture.

python tests/helpers/raw_pool.py SHARED/faces ROOT
"""

import sys
from pathlib import Path

import pyarrow.parquet as pq


def unpack(faces: Path, root: Path, limit: int = 0) -> int:
    """Write the pool's pictures, all or the first `limit` of each file, to `root`. Returns their number."""
    count = 0
    for file in sorted(faces.glob("pool-*.parquet")):
        table = pq.read_table(file, columns=["image", "source"])
        for number, row in enumerate(table.slice(0, limit or len(table)).to_pylist()):
            # Two pictures of a source may have the same name, so a number stands before it.
            target = root / row["source"] / file.stem / f"{number:04d}-{row['image']['path']}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(row["image"]["bytes"])
            count += 1
    return count


if __name__ == "__main__":
    print(unpack(Path(sys.argv[1]), Path(sys.argv[2])), "pictures")
