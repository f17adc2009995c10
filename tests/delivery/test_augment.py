"""Augmentation: the same draw, the same bytes; and no picture that it cannot take."""

import hashlib
import io
import random
from dataclasses import replace
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image

from fakeface.data.augment import AugmentRows
from fakeface.delivery.augment import Augmentation, _drawn, augment, change_pose, change_tone, deliver, sample_rng
from fakeface.delivery.channels import screenshot, send
from fakeface.images.load import PictureError

NEVER = Augmentation(
    flip=0, rotate=0, rescale=0, thumbnail=0, save=0, second_save=0, blur=0, sharpen=0, noise=0, tone=0, grey=0
)
STILL = replace(NEVER, zoom=(1.0, 1.0), shift=0.0)


def photo(width=96, height=96, seed=0):
    """Coarse colour noise, smooth enough for an encoder."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def same(first, second):
    return first.size == second.size and first.tobytes() == second.tobytes()


@pytest.mark.parametrize("change", [augment, deliver, change_pose, change_tone])
def test_equal_draws_give_equal_bytes(change):
    for index in range(20):
        first = change(photo(), sample_rng(7, 3, index), Augmentation())
        assert same(first, change(photo(), sample_rng(7, 3, index), Augmentation()))


def test_a_share_of_the_pictures_changes_in_pose_alone():
    """With STILL as the pose, a picture left clean comes out as it went in; delivery always saves at quality 30."""
    how = replace(STILL, save=1.0, quality=(30, 30), clean=0.5)
    clean = sum(same(photo(), augment(photo(), sample_rng(0, 0, index), how)) for index in range(100))
    assert 35 < clean < 65
    assert not any(same(photo(), deliver(photo(), sample_rng(0, 0, index), how)) for index in range(10))


def test_seed_epoch_and_index_each_give_another_picture():
    def at(*place):
        return augment(photo(), sample_rng(*place), Augmentation())

    changed = [at(0, 0, 0), at(1, 0, 0), at(0, 1, 0), at(0, 0, 1), at(0, 2**31, 0)]
    assert len({picture.tobytes() for picture in changed}) == 5


def test_the_streams_are_fixed_for_good():
    # A checkpoint's run can be repeated only while these draws stay as they are.
    assert sample_rng(0, 0, 0).integers(0, 1000, 4).tolist() == [850, 636, 511, 269]


def test_no_change_at_all_when_nothing_is_likely():
    picture = photo()
    assert same(augment(picture, sample_rng(0, 0, 0), STILL), picture)
    assert same(deliver(photo(120, 80), sample_rng(0, 0, 0), NEVER), photo(120, 80))


def test_the_picture_itself_is_left_alone():
    picture = photo()
    for index in range(20):
        augment(picture, sample_rng(0, 0, index), Augmentation())
    assert same(picture, photo())


@pytest.mark.parametrize(
    "size",
    [(24, 24), (8, 8), (24, 400), (400, 24), (97, 61), (25, 24), (300, 300)],
    ids=lambda size: "x".join(map(str, size)),
)
def test_every_shape_gives_an_rgb_square(size):
    certain = Augmentation(rescale=1, thumbnail=1, save=1, second_save=1, blur=1, sharpen=1, noise=1, tone=1)
    for how in (Augmentation(), certain):
        for index in range(8):
            changed = augment(photo(*size), sample_rng(0, 0, index), how)
            assert changed.mode == "RGB"
            assert changed.width == changed.height
            assert 8 <= changed.width <= max(16, round(1.3 * min(size)))


@pytest.mark.parametrize("size", [(17_000, 16), (16, 70_000)])
def test_a_delivery_longer_than_webp_can_hold_is_not_encoded(size):
    picture = photo(*size)
    delivered = deliver(picture, sample_rng(0, 0, 0), replace(NEVER, save=1, webp=1))
    assert same(delivered, picture)


def test_grey_pictures_are_taken():
    grey = photo().convert("L").convert("RGB")
    for index in range(20):
        assert augment(grey, sample_rng(0, 0, index), Augmentation()).mode == "RGB"


def test_delivery_keeps_the_shape():
    for index in range(30):
        delivered = deliver(photo(160, 120), sample_rng(0, 0, index), Augmentation())
        assert delivered.mode == "RGB"
        assert delivered.width / delivered.height == pytest.approx(4 / 3, rel=0.03)


def test_pose_brings_in_no_black():
    white = Image.new("RGB", (64, 80), "white")
    wild = Augmentation(rotate=1, rotation=12, zoom=(0.85, 0.85), shift=0.1)
    for index in range(20):
        # Cubic interpolation of an even area may round to 254.
        assert np.asarray(change_pose(white, sample_rng(0, 0, index), wild)).min() >= 254


def test_a_rotation_without_angle_and_zoom_is_still():
    turned = change_pose(photo(), sample_rng(0, 0, 0), replace(STILL, rotate=1, rotation=0.0))
    assert same(turned, photo())


def test_grey_and_flip_do_what_they_say():
    grey = np.asarray(change_tone(photo(), sample_rng(0, 0, 0), replace(NEVER, grey=1)))
    assert (grey == grey[:, :, :1]).all()
    mirrored = change_pose(photo(), sample_rng(0, 0, 0), replace(STILL, flip=1))
    assert same(mirrored, photo().transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def test_a_thumbnail_is_never_larger():
    how = replace(NEVER, thumbnail=1, thumbnail_side=(80, 320))
    sides = [min(deliver(photo(200, 240), sample_rng(0, 0, index), how).size) for index in range(40)]
    assert 80 <= min(sides) < 120
    assert max(sides) == 200
    assert deliver(photo(60, 60), sample_rng(0, 0, 0), how).size == (60, 60)


def test_encoding_leaves_traces_of_its_quality():
    def error(quality):
        how = replace(NEVER, save=1, webp=0, quality=(quality, quality))
        saved = deliver(photo(), sample_rng(0, 0, 0), how)
        return np.abs(np.asarray(saved, int) - np.asarray(photo(), int)).mean()

    assert 0 < error(95) < error(30)


def test_global_generators_neither_matter_nor_move():
    certain = Augmentation(rotate=1, rescale=1, thumbnail=1, save=1, second_save=1, blur=1, sharpen=1, noise=1, tone=1)

    def after(seed, action):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        return action(), (random.random(), np.random.random(), torch.rand(1).item())

    first, draws = after(0, lambda: augment(photo(), sample_rng(0, 0, 0), certain))
    second, _ = after(1, lambda: augment(photo(), sample_rng(0, 0, 0), certain))
    assert same(first, second)
    assert draws == after(0, lambda: None)[1]


# ---- what is not drawn by default

# sha256 of `augment` and `deliver` over 30 places each, computed before any operation was added.
DRAWN_SO_FAR = "482aff3a391c3de98f92217ae17fe974e3fe5c2581394e4ff234a44375d0f24d"


def test_default_draws_are_those_of_earlier_checkpoints():
    digest = hashlib.sha256()
    for index in range(30):
        for change in (augment, deliver):
            digest.update(change(photo(120, 96, 1), sample_rng(5, 2, index), Augmentation()).tobytes())
    assert digest.hexdigest() == DRAWN_SO_FAR


def test_what_is_impossible_draws_nothing():
    class Counting:
        calls = 0

        def random(self):
            self.calls += 1
            return 0.5

    counting = Counting()
    assert [_drawn(counting, probability) for probability in (0.0, 1.0)] == [False, True]  # type: ignore[arg-type]
    assert counting.calls == 1


@pytest.mark.parametrize("key", ["avif", "half_chroma"])
def test_saves_of_other_kinds_leave_other_traces(key):
    how = replace(NEVER, save=1, webp=0, quality=(40, 40))
    usual = deliver(photo(), sample_rng(0, 0, 0), how)
    other = deliver(photo(), sample_rng(0, 0, 0), replace(how, **{key: 1.0}))
    assert other.size == usual.size
    assert not same(other, usual)


# rescale, blur, noise, save, thumbnail, second save, and the new operation
DECIDED = 7


def test_screenshots_and_platforms_are_drawn_when_asked_for():
    shot = deliver(photo(96, 96), sample_rng(0, 0, 0), replace(NEVER, screenshot=1))
    assert same(shot, screenshot(photo(96, 96), skipped(sample_rng(0, 0, 0), DECIDED)))
    sent = deliver(photo(96, 96), sample_rng(0, 0, 0), replace(NEVER, platform=1))
    assert same(sent, send(photo(96, 96), skipped(sample_rng(0, 0, 0), DECIDED)))


def skipped(rng, draws):
    """Past the draws by which `deliver` decides what happens."""
    rng.random(draws)
    return rng


# ---- rows of a dataset


def rows(n=6):
    return Dataset.from_dict({"image": [photo(seed=seed) for seed in range(n)], "index": list(range(n))}).cast_column(
        "image", datasets.Image()
    )


def pixels(dataset):
    return [row["image"].tobytes() for row in dataset]


def test_rows_are_the_same_for_any_number_of_processes():
    expected = [deliver(photo(seed=i), sample_rng(3, 1, i), Augmentation()).tobytes() for i in range(6)]
    change = AugmentRows(seed=3, epoch=1)
    kinds: tuple[dict[str, Any], ...] = ({"num_proc": 1}, {"num_proc": 2}, {"batched": True, "batch_size": 4})
    for options in kinds:
        assert pixels(rows().map(change, with_indices=True, **options)) == expected
    assert pixels(rows().with_transform(change)) == expected


def test_rows_keep_their_number_in_another_order():
    shuffled = rows().select([4, 1]).with_transform(AugmentRows(seed=3))
    expected = [deliver(photo(seed=i), sample_rng(3, 0, i), Augmentation()).tobytes() for i in (4, 1)]
    assert pixels(shuffled) == expected


def test_undecoded_rows_are_read_by_the_one_safe_decoder():
    buffer = io.BytesIO()
    photo(seed=2).save(buffer, "PNG")
    row = {"image": {"bytes": buffer.getvalue(), "path": None}}
    changed = AugmentRows(change=augment)(row, 5)["image"]
    assert same(changed, augment(photo(seed=2), sample_rng(0, 0, 5), Augmentation()))
    with pytest.raises(PictureError, match="row 5: not a picture"):
        AugmentRows()({"image": {"bytes": b"words and words", "path": None}}, 5)


def test_rows_without_numbers_are_refused():
    with pytest.raises(ValueError, match="with_indices=True"):
        AugmentRows()({"image": [photo()]})
