"""Where a step's time goes."""

import json
import time
from pathlib import Path

import torch

PARTS = {
    "data": "waiting for the data workers",
    "device": "moving pictures to the device",
    "forward": "forward",
    "backward": "backward, and the sum of gradients over ranks",
    "optimiser": "clipping, agreement, optimiser and moving average",
    "rest": "curves and progress bar",
}
WARM_UP = 5  # steps that start workers and choose kernels, and say nothing about the others
PROFILE = "profile.json"


class StepTimes:
    """Adds up seconds between moments of a step; validation and checkpoints are not in it.

    Args:
        device: that computes. An accelerator works behind Python's back, so that each lap waits for it; that makes
            training slower, hence only on demand.
        exact: whether to wait, or else all times but their sum are Python's only.
    """

    def __init__(self, device: torch.device, exact: bool):
        self.device, self.exact = device, exact and device.type != "cpu"
        self.steps, self.pictures, self.seconds = 0, 0, dict.fromkeys(PARTS, 0.0)
        self.warm_up, self.last = WARM_UP, time.perf_counter()

    def start(self) -> None:
        """What came before does not count."""
        self.last = time.perf_counter()

    def lap(self, part: str) -> None:
        """The time since the last moment was spent on this part."""
        if self.exact:
            torch.accelerator.synchronize(self.device)
        now = time.perf_counter()
        self.seconds[part] += now - self.last
        self.last = now

    def end_step(self, pictures: int) -> None:
        """A step is done, with so many pictures over all ranks."""
        self.steps, self.pictures = self.steps + 1, self.pictures + pictures
        if self.steps == self.warm_up:  # so a run of fewer steps is told whole
            self.warm_up = 0
            self.steps, self.pictures, self.seconds = 0, 0, dict.fromkeys(PARTS, 0.0)

    @property
    def rate(self) -> float:
        """Pictures per second, over all ranks."""
        return self.pictures / max(sum(self.seconds.values()), 1e-9)

    def table(self) -> str:
        total = sum(self.seconds.values())
        lines = [f"{self.rate:.1f} pictures/s over {self.steps} steps; a step of {1000 * total / self.steps:.1f} ms:"]
        for part, words in PARTS.items():
            seconds = self.seconds[part]
            lines.append(f"{1000 * seconds / self.steps:9.1f} ms  {seconds / total:6.1%}  {words}")
        return "\n".join(lines)

    def write(self, run: Path) -> None:
        """Write `profile.json` of a run folder: pictures per second, steps, and seconds per step of each part."""
        parts = {part: seconds / self.steps for part, seconds in self.seconds.items()}
        record = {"pictures_per_second": self.rate, "steps": self.steps, "seconds_per_step": parts}
        (run / PROFILE).write_text(json.dumps(record, indent=2) + "\n")


__all__ = ["PARTS", "PROFILE", "WARM_UP", "StepTimes"]
