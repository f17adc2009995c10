"""The Space's own modules, which lie beside its app and not in the package."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "space"))
