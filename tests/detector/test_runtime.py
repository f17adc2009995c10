"""The pass that scores pictures, batch by batch."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from tiny import SIZE, tiny_model

from fakeface.detector.runtime import scores_of


@pytest.mark.parametrize("batch_size", [1, 3, 7, 32])
def test_scores_are_those_of_the_model_in_order_whatever_the_batch(batch_size: int):
    model = tiny_model().eval()
    pictures = np.random.default_rng(0).normal(size=(7, 3, SIZE, SIZE)).astype(np.float32)
    with torch.inference_mode():
        expected = model(torch.from_numpy(pictures)).logits.softmax(-1)[:, 1]
    scores = scores_of(model, iter(pictures), batch_size)
    assert scores.dtype == np.float32
    assert scores == pytest.approx(expected.numpy(), abs=1e-6)
    assert len(set(scores.tolist())) == 7


def test_no_more_than_a_batch_is_taken_ahead():
    model, taken, passed = tiny_model().eval(), 0, []

    def pictures() -> Iterator[np.ndarray]:
        nonlocal taken
        for _ in range(5):
            taken += 1
            yield np.zeros((3, SIZE, SIZE), np.float32)

    model.register_forward_pre_hook(lambda module, inputs: passed.append(taken))
    scores_of(model, pictures(), batch_size=2)
    assert passed == [2, 4, 5]


def test_no_pictures_have_no_scores():
    assert scores_of(tiny_model(), []).shape == (0,)
