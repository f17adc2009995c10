"""A model before and after: which pictures stand in which row."""

import numpy as np
from everything import as_markdown, rows_of

from fakeface import Result


def test_sources_unseen_at_first_have_a_row_of_their_own():
    scores = [0.1, 0.9, 0.8, 0.95, 0.2, 0.3, None]
    labels, unseen = np.array([0, 1, 0, 1, 0, 1, 1]), np.array([False, False, False, True, True, True, True])
    results = [Result(str(n), s, "generated" if s and s > 0.5 else "real") for n, s in enumerate(scores)]
    known, new = rows_of("0123456789abcdef", labels, unseen, results)
    assert (known["pictures"], known["n_real"], known["n_generated"], known["auc"]) == ("known sources", 2, 1, 1.0)
    assert (known["real_called_generated"], known["generated_called_generated"]) == (1, 1)
    assert (new["n_real"], new["n_generated"], new["auc"]) == (1, 2, 1.0)  # the picture without a face is in no row
    assert (new["real_called_generated"], new["generated_called_generated"]) == (0, 1)
    told = as_markdown([{**known, "auc_low": 0.5, "auc_high": 1.0}])
    assert "| known sources | `01234567` | 2 + 1 | 1.000 (0.500–1.000) | 1 | 1 |" in told
