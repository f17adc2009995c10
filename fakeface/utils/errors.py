"""The one kind of error that says: what was given cannot be used. Every other exception is a fault of the package."""

import re


class FakefaceError(ValueError):
    """A picture, model, dataset, recipe, option or folder cannot be used.

    The commands print its message as one line on stderr; any other exception keeps its traceback.

    Attributes:
        code: what cannot be used, a short stable word for programs: that of the class, `model-folder` of
            `ModelFolderError` and so on; of a `PictureError` its reason, such as `too-small`.
    """

    code: str = "fakeface"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.code = re.sub("(?<=[a-z])(?=[A-Z])", "-", cls.__name__.removesuffix("Error")).lower()

    @property
    def cure(self) -> str:
        """What to do about it: messages read "PROBLEM; CURE". Empty where one says no more than what is wrong."""
        _, found, cure = str(self.args[-1] if self.args else "").partition("\n")[0].rpartition("; ")
        return cure if found else ""


class OptionError(FakefaceError):
    """An option has a value that it does not take, or that does not go with another; the message names it."""


class OutputError(FakefaceError):
    """A file or folder cannot be written; the message names it."""


__all__ = ["FakefaceError", "OptionError", "OutputError"]
