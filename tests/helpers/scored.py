"""Scores to compute figures of: rows of a table, labels with overlapping scores, and two ranks to gather them."""

import numpy as np
import pandas as pd

# What tests/test_train.py starts two gloo ranks with; 7 pictures in batches of 2 make accelerate pad the last.
TWO_RANKS = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
TWO_RANKS += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]


def sample(seed, n=700, steps=0):
    """Labels and overlapping scores; `steps` rounds the scores, so that many are tied."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    scores = 1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.5)))
    return labels, np.round(scores * steps) / steps if steps else scores


def rows(split, view, label, source, generator, scores):
    return pd.DataFrame(
        {
            "split": split,
            "view": view,
            "sha256": [f"{source}-{i}" for i in range(len(scores))],
            "label": label,
            "source": source,
            "generator": generator,
            "score": scores,
        }
    )
