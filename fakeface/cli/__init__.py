"""The commands. They hold no logic, and import what is slow when they are called."""

from .commands import main

__all__ = ["main"]
