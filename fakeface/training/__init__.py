"""What `train.py` is made of: pictures, model, loop, checkpoints, validation and the run folder, on accelerate."""


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped."""


__all__ = ["TrainingError"]
