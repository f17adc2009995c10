"""Build a dataset from sources by a recipe."""

from typing import TYPE_CHECKING

from ...utils.lazy import lazy_names

if TYPE_CHECKING:
    from .recipe import BuildRecipe, build_recipe, read_build_recipe
    from .run import build

__all__ = ["BuildRecipe", "build", "build_recipe", "read_build_recipe"]

__getattr__ = lazy_names(
    __name__,
    {
        "recipe": ["BuildRecipe", "build_recipe", "read_build_recipe"],
        "run": ["build"],
    },
)
