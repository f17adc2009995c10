"""Names that a package hands out from its modules, each imported when it is first asked for."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """A `__getattr__` (PEP 562) for a package's `__init__`, so that importing the package imports nothing slow.

    Args:
        package: its `__name__`.
        homes: the names it hands out, by the module in it that defines them.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def __getattr__(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f".{home_of[name]}", package), name)
        setattr(sys.modules[package], name, value)  # the next look-up does not come here
        return value

    return __getattr__


__all__ = ["lazy_names"]
