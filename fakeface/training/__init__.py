"""The heavy parts of `train.py`: batches, model, checkpoints, what ranks agree on and the run folder, on accelerate."""

from ..utils.errors import FakefaceError


class TrainingError(FakefaceError):
    """Training cannot go on; the message says where it stopped. Raised on every rank, or on none."""


class TrainingStopped(RuntimeError):
    """Training was asked to stop, and did, with all it has done saved. Raised on every rank, or on none."""


__all__ = ["TrainingError", "TrainingStopped"]
