"""Rows as tensors: the three views of a picture, the order they come in, and that workers change nothing."""

import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from torch.utils.data import DataLoader

from fakeface.data.faces import face_of_row
from fakeface.data.views import DELIVERED_EPOCH, BalancedSampler, Pictures, View
from fakeface.delivery.augment import Augmentation, augment, deliver, sample_rng
from fakeface.delivery.sweep import swept
from fakeface.detector.preparation import Preparer
from fakeface.faces import Face, FaceFinder, Jitter, align_face
from fakeface.image_processing_fakeface import FakeFaceImageProcessor

PROCESSOR = FakeFaceImageProcessor(size=16, crop_fraction=0.875)


def picture(seed, side=48):
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


def encoded(seed):
    buffer = io.BytesIO()
    picture(seed).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


@pytest.fixture(scope="module")
def dataset():
    return Dataset.from_dict({"image": [encoded(seed) for seed in range(12)], "label": [0, 1] * 6})


def same(first, second):
    return torch.equal(first["pixel_values"], second["pixel_values"])


# ---- views


def test_an_item(dataset):
    item = Pictures(dataset, View(PROCESSOR))[3]
    assert item.keys() == {"pixel_values", "labels", "index"}
    assert (tuple(item["pixel_values"].shape), item["pixel_values"].dtype) == ((3, 16, 16), torch.float32)
    assert (item["labels"], item["index"]) == (1, 3)
    assert len(Pictures(dataset, View(PROCESSOR))) == 12


def test_the_clean_view_is_what_users_get(dataset):
    expected = PROCESSOR(picture(5), return_tensors="pt")["pixel_values"][0]
    assert torch.equal(Pictures(dataset, View(PROCESSOR))[5]["pixel_values"], expected)
    assert torch.equal(Pictures(dataset, View(PROCESSOR))[2, 5]["pixel_values"], expected)


def test_the_delivered_view_is_one_fixed_delivery(dataset):
    pictures = Pictures(dataset, View(PROCESSOR, "delivered", seed=4))
    delivered = deliver(picture(5), sample_rng(4, DELIVERED_EPOCH, 5), Augmentation())
    assert torch.equal(pictures[5]["pixel_values"], torch.from_numpy(PROCESSOR.to_array(delivered)))
    assert same(pictures[5], Pictures(dataset, View(PROCESSOR, "delivered", seed=4))[5])
    clean = Pictures(dataset, View(PROCESSOR))
    assert not all(same(pictures[i], clean[i]) for i in range(12))


def test_the_augmented_view_is_fresh_each_epoch_and_repeatable(dataset):
    pictures = Pictures(dataset, View(PROCESSOR, "augmented", seed=4))
    augmented = augment(picture(5), sample_rng(4, 1, 5), Augmentation())
    assert torch.equal(pictures[1, 5]["pixel_values"], torch.from_numpy(PROCESSOR.to_array(augmented)))
    assert same(pictures[1, 5], pictures[1, 5])
    assert not same(pictures[1, 5], pictures[2, 5])
    assert not same(pictures[1, 5], Pictures(dataset, View(PROCESSOR, "augmented", seed=5))[1, 5])


def test_the_paired_view_is_one_pose_without_and_with_delivery(dataset):
    never = Augmentation(tone=0, grey=0, sharpen=0, rescale=0, blur=0, noise=0, save=0, thumbnail=0, second_save=0)
    still = Pictures(dataset, View(PROCESSOR, "paired", never, seed=4))
    first, second = still[1, 5]["pixel_values"]
    assert torch.equal(first, second)
    posed = Pictures(dataset, View(PROCESSOR, "augmented", Augmentation(clean=1.0), seed=4))[1, 5]
    pairs = Pictures(dataset, View(PROCESSOR, "paired", Augmentation(noise=1.0), seed=4))
    assert torch.equal(pairs[1, 5]["pixel_values"][0], posed["pixel_values"])
    assert not torch.equal(*pairs[1, 5]["pixel_values"])
    assert torch.equal(pairs[1, 5]["pixel_values"], pairs[1, 5]["pixel_values"])
    assert not torch.equal(pairs[1, 5]["pixel_values"], pairs[2, 5]["pixel_values"])


def test_the_first_epochs_can_be_smaller(dataset):
    small = FakeFaceImageProcessor(size=8, crop_fraction=0.875)
    pictures = Pictures(dataset, View(PROCESSOR, "augmented", seed=4, small=small, small_epochs=2))
    sides = [pictures[epoch, 5]["pixel_values"].shape[-1] for epoch in range(4)]
    assert sides == [8, 8, 16, 16]
    augmented = augment(picture(5), sample_rng(4, 1, 5), Augmentation())
    assert torch.equal(pictures[1, 5]["pixel_values"], torch.from_numpy(small.to_array(augmented)))
    # Validation has no epochs of its own, and is at the full size
    delivered = Pictures(dataset, View(PROCESSOR, "delivered", small=small, small_epochs=2))
    assert tuple(delivered[5]["pixel_values"].shape) == (3, 16, 16)


def test_the_augmentation_is_the_one_asked_for(dataset):
    never = dict.fromkeys([name for name, value in vars(Augmentation()).items() if isinstance(value, float)], 0.0)
    still = replace(Augmentation(zoom=(1.0, 1.0)), **never)
    for view in ("augmented", "delivered"):
        assert same(Pictures(dataset, View(PROCESSOR, view, still))[0, 5], Pictures(dataset, View(PROCESSOR))[5])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 has it in for forked workers
@pytest.mark.parametrize("view", ["augmented", "delivered"])
def test_workers_change_nothing(view, dataset):
    def batches(workers):
        sampler = BalancedSampler(dataset["label"], ["a"] * 12, samples=20, seed=3)
        sampler.set_epoch(2)
        return list(
            DataLoader(Pictures(dataset, View(PROCESSOR, view)), batch_size=4, sampler=sampler, num_workers=workers)
        )

    alone, shared_out = batches(0), batches(2)
    assert len(alone) == len(shared_out) == 5
    for first, second in zip(alone, shared_out, strict=True):
        assert same(first, second)
        assert torch.equal(first["labels"], second["labels"])
        assert torch.equal(first["index"], second["index"])


# ---- order

LABELS = [0] * 900 + [0] * 100 + [1] * 400 + [1] * 25
SOURCES = ["lfw"] * 900 + ["ffhq"] * 100 + ["tpdne"] * 400 + ["sdfd"] * 25


def drawn(source_balance, samples=20_000, epoch=0, seed=0):
    sampler = BalancedSampler(LABELS, SOURCES, samples, source_balance, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


# Of a label's half, a source of n pictures gets n^(1 - balance): 900 and 100 become 30 and 10 at one half.
@pytest.mark.parametrize(
    ("source_balance", "shares"),
    [
        (0.0, {"lfw": 0.45, "ffhq": 0.05, "tpdne": 0.5 * 400 / 425, "sdfd": 0.5 * 25 / 425}),
        (0.5, {"lfw": 0.375, "ffhq": 0.125, "tpdne": 0.4, "sdfd": 0.1}),
        (1.0, {"lfw": 0.25, "ffhq": 0.25, "tpdne": 0.25, "sdfd": 0.25}),
    ],
)
def test_labels_are_drawn_equally_and_sources_by_the_power_of_their_size(source_balance, shares):
    counts = Counter(SOURCES[index] for _, index in drawn(source_balance))
    # Four standard deviations of a share p of 20,000 draws are at most 4 * sqrt(0.25 / 20,000) = 0.0141.
    assert {source: n / 20_000 for source, n in counts.items()} == pytest.approx(shares, abs=0.0142)


def test_pictures_of_a_source_are_drawn_alike():
    counts = Counter(index for _, index in drawn(1.0) if SOURCES[index] == "sdfd")
    # 25 pictures share about 5,000 draws: 200 each, with a standard deviation of 14.
    assert len(counts) == 25
    assert 140 < min(counts.values()) < max(counts.values()) < 260


def test_a_source_of_both_labels_counts_once_for_each():
    sampler = BalancedSampler([0] * 10 + [1] * 1000, ["camera"] * 1010, 4_000, 1.0)
    generated = sum(index >= 10 for _, index in sampler)
    assert generated / 4_000 == pytest.approx(0.5, abs=0.04)


def test_draws_come_with_their_epoch():
    assert {epoch for epoch, _ in drawn(0.5, samples=50, epoch=3)} == {3}
    assert len(BalancedSampler(LABELS, SOURCES, 50)) == len(drawn(0.5, samples=50)) == 50


def test_seed_and_epoch_decide_the_order():
    def order(**place):
        return [index for _, index in drawn(0.5, samples=200, **place)]

    assert order(epoch=1, seed=2) == order(epoch=1, seed=2)
    assert len({tuple(order(epoch=epoch, seed=seed)) for epoch in range(3) for seed in range(3)}) == 9


def test_the_global_generator_neither_matters_nor_moves():
    torch.manual_seed(0)
    first, state = drawn(0.5, samples=100), torch.get_rng_state()
    torch.manual_seed(1)
    assert drawn(0.5, samples=100) == first
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)


# ---- faces cut out of larger pictures


class Nowhere(FaceFinder):
    """Finds nothing, so that faces stay where their rows say."""

    def __init__(self):
        pass

    def __call__(self, picture):
        return []


CUT = Preparer(16, 0.9, 0.8, Nowhere(), crops=4, face_cut="landmarks")


@pytest.fixture(scope="module")
def scenes():
    """Pictures of 96 pixels with a face of about 30, each somewhere else."""
    rows = {"image": [], "label": [0, 1] * 3, "sha256": [f"{i:064x}" for i in range(6)], "face_box": []}
    rows["face_landmarks"] = []
    for i in range(6):
        buffer = io.BytesIO()
        picture(i, 96).save(buffer, "PNG")
        rows["image"].append({"bytes": buffer.getvalue(), "path": None})
        x, y = 35.0 + 5 * i, 60.0 - 4 * i
        rows["face_box"].append([x - 15, y - 15, 30.0, 30.0])
        rows["face_landmarks"].append([x - 7, y - 5, x + 7, y - 3, x, y + 1, x - 6, y + 8, x + 5, y + 9])
    return Dataset.from_dict(rows)


def test_the_clean_view_of_a_face_is_what_the_detector_feeds_the_model(scenes):
    item = Pictures(scenes, View(PROCESSOR, cut=CUT))[4]
    face = face_of_row(scenes[4], (96, 96))
    square = align_face(picture(4, 96), face, 16, 0.8 * 0.9)
    whole = FakeFaceImageProcessor(16, 1.0, PROCESSOR.image_mean, PROCESSOR.image_std)
    assert torch.equal(item["pixel_values"], torch.from_numpy(whole.to_array(square)))


@pytest.mark.parametrize("name", ["delivered", "rescale 0.5", "thumbnail 80"])
def test_a_face_is_followed_when_its_picture_is_rescaled(name, scenes):
    clean, changed = (Pictures(scenes, View(PROCESSOR, view, cut=CUT)) for view in ("clean", name))
    for i in range(6):
        apart = (clean[i]["pixel_values"] - changed[i]["pixel_values"]).abs().mean()
        others = (clean[i]["pixel_values"] - changed[(i + 3) % 6]["pixel_values"]).abs().mean()
        assert 0 < apart < 0.6 * others


def test_a_face_is_found_anew_where_a_step_moves_it(scenes):
    class Moved(Nowhere):
        def __call__(self, picture):
            return [Face((10, 10, 40, 40), 1.0, ((18.0, 20.0), (32.0, 20.0), (25.0, 26.0), (19.0, 33.0), (31.0, 33.0)))]

        def level(self, picture, face):
            return face

    found = replace(CUT, finder=Moved())
    item = Pictures(scenes, View(PROCESSOR, "moved 10 %", cut=found))[2]
    changed = swept(picture(2, 96), "moved 10 %", 0, scenes[2]["sha256"])
    (square,) = replace(found, crops=1).inputs_of(changed, Moved()(changed)[0])
    whole = FakeFaceImageProcessor(16, 1.0, PROCESSOR.image_mean, PROCESSOR.image_std)
    assert torch.equal(item["pixel_values"], torch.from_numpy(whole.to_array(Image.fromarray(square))))


def test_faces_in_training_are_jittered_anew_each_epoch(scenes):
    pictures = Pictures(scenes, View(PROCESSOR, "augmented", seed=1, cut=CUT))
    assert same(pictures[0, 3], pictures[0, 3])
    assert not same(pictures[0, 3], pictures[1, 3])
    still = Augmentation(rescale=0, thumbnail=0, save=0, second_save=0, blur=0, noise=0, tone=0, grey=0, sharpen=0)
    jittered = Pictures(scenes, View(PROCESSOR, "augmented", still, seed=1, cut=CUT))[0, 3]
    jitter = Jitter.draw(sample_rng(1, 0, 3))
    square = align_face(picture(3, 96), face_of_row(scenes[3], (96, 96)), 16, 0.8 * 0.9, jitter)
    whole = FakeFaceImageProcessor(16, 1.0, PROCESSOR.image_mean, PROCESSOR.image_std)
    assert torch.equal(jittered["pixel_values"], torch.from_numpy(whole.to_array(square)))
    pair = Pictures(scenes, View(PROCESSOR, "paired", still, seed=1, cut=CUT))[0, 3]["pixel_values"]
    assert torch.equal(pair[0], jittered["pixel_values"])
    assert torch.equal(pair[1], pair[0])
