"""The page of the Space, and what programs call; a thin face on the other rooms: what it shows, they said."""

from typing import TYPE_CHECKING

from ..utils.lazy import lazy_names

if TYPE_CHECKING:
    from .serving import main

__all__ = ["main"]

__getattr__ = lazy_names(__name__, {"serving": ["main"]})
