"""What `train.py` is made of: pictures, model, loop, checkpoints, validation and the run folder, on accelerate."""


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped. Raised on every rank, or on none."""


class TrainingStopped(RuntimeError):
    """Training was asked to stop, and did, with all it has done saved. Raised on every rank, or on none."""


__all__ = ["TrainingError", "TrainingStopped"]
