"""What fakeface ships beside its modules: models, example pictures, the template of cards."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def shipped(installed: str, in_checkout: str) -> Path:
    """The path of a file or folder that a wheel holds inside the package, and a source checkout beside it.

    Args:
        installed: its path inside the package, as `pyproject.toml` has it under `force-include`.
        in_checkout: its path from the top of the checkout.

    Returns:
        The one inside the package if it is there, else that of the checkout, there or not.
    """
    inside = PACKAGE / installed
    return inside if inside.exists() else PACKAGE.parent / in_checkout


__all__ = ["shipped"]
