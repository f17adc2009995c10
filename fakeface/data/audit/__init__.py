"""Question a dataset: what tells its labels apart without a look at the faces?"""

from typing import TYPE_CHECKING

from ...utils.lazy import lazy_names

if TYPE_CHECKING:
    from .report import write_audit
    from .run import Audit, audit

__all__ = ["Audit", "audit", "write_audit"]

__getattr__ = lazy_names(
    __name__,
    {
        "report": ["write_audit"],
        "run": ["Audit", "audit"],
    },
)
