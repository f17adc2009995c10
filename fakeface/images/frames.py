"""What of a picture file is judged: its picture; of an animation the frame shown longest, and a few others."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from .animation import MOST_JUDGED, Animation, read_animation
from .convert import upright_rgb
from .decode import Limits, PictureError, PictureFile

# Side of the sample that tells whether a picture is dark, and the light that its brightest hundredth stays under.
_SAMPLED, _DARK = 256, 24


@dataclass(frozen=True)
class Opened:
    """A picture as its viewers see it.

    Attributes:
        frames: upright RGB, without metadata; of an animation several, the one shown longest first.
        remarks: what was done to it or left aside, in plain words.
        doubts: why a verdict `real` on it would not hold, in plain words.
    """

    frames: tuple[Image.Image, ...]
    remarks: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def read_frames(data: bytes, name: str, limits: Limits, most: int = MOST_JUDGED) -> Opened:
    """The frames to judge of a picture file held in memory, so many at most.

    What an animation may cost is bounded by the limits: its first frames up to twice `max_pixels` in all are decoded,
    and those that are kept have `max_pixels` together.

    Raises:
        PictureError: the file is refused; no other exception leaves.
    """
    file = PictureFile(data, name, limits)
    remarks = [file.remark] if file.remark else []
    animation = read_animation(data, file.format, getattr(file.picture, "n_frames", 1) if file.format == "AVIF" else 1)
    if animation is None or not animation.times:
        return seen((upright_rgb(file.load(), remarks),), remarks)
    width, height = file.picture.size
    fit = limits.max_pixels // (width * height)
    within = 2 * fit if fit > 1 else 1
    chosen = animation.choose(min(most, max(fit, 1)), within)
    found: dict[int, Image.Image] = {}
    broken = False
    try:
        for number, frame in zip(
            sorted(chosen), file.frames(one + animation.hidden for one in sorted(chosen)), strict=True
        ):
            found[number] = upright_rgb(frame, remarks)
    except PictureError:
        if not found and max(chosen):  # then at least what it begins with
            file = PictureFile(data, name, limits)
            found[0] = upright_rgb(next(file.frames([animation.hidden])), remarks)
        elif not found:
            raise
        broken = True
    frames = tuple(found[number] for number in chosen if number in found) or tuple(found.values())
    told, doubt = _told(animation, len(frames), within, broken)
    return seen(frames, [*remarks, *told], doubt)


def seen(frames: tuple[Image.Image, ...], remarks: list[str], doubts: tuple[str, ...] = ()) -> Opened:
    """Frames with all that there is to say of them."""
    if all(map(_is_dark, frames)):
        doubts = (*doubts, "the picture is almost black: too dark to tell")
    return Opened(frames, tuple(dict.fromkeys(remarks)), doubts)


def _told(animation: Animation, judged: int, within: int, broken: bool) -> tuple[list[str], tuple[str, ...]]:
    """Remark on an animation, and the doubt where most of what it shows was not looked at."""
    times = animation.times
    count = f"more than {len(times)}" if animation.more else str(len(times))
    if len(times) == 1 and not animation.more:
        return [], ()
    others = f" and {judged - 1} other{'s' * (judged > 2)}" if judged > 1 else ""
    decides = ", and the most generated one decides" if judged > 1 else ""
    remarks = [f"an animation of {count} frames: the one shown longest{others} were judged{decides}"]
    if judged == 1:
        remarks = [f"an animation of {count} frames: one was judged, the one shown longest"]
    if broken:
        return remarks, ("some frames of the animation cannot be read",)
    if animation.more or 2 * sum(times[:within]) < sum(times):
        return remarks, (f"only the first {min(within, len(times))} frames of the animation were looked at",)
    return remarks, ()


def _is_dark(picture: Image.Image) -> bool:
    """Whether all but a hundredth of a picture is next to black."""
    width, height = picture.size
    size = (min(width, _SAMPLED), min(height, _SAMPLED))
    counts = picture.resize(size, Image.Resampling.NEAREST).convert("L").histogram()
    return sum(counts[_DARK:]) <= sum(counts) // 100


__all__ = ["Opened", "read_frames", "seen"]
