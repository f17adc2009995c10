"""The arithmetic of docs/scale.md."""

import pytest
from scale import ALONE, UPLOAD, amount, as_markdown


def test_a_volume_needs_cores_network_and_storage_by_the_rates():
    row = {"side": str(UPLOAD), "kilobytes": "500.0", "row_bytes": "100", "pictures": "10", "cores": "2"}
    rows = [
        {**row, "model": "fast", "per_core_hour": "36000"},
        {**row, "model": ALONE, "per_core_hour": "72000", "row_bytes": ""},
        {**row, "model": "fast", "side": "as collected", "per_core_hour": "72000"},
    ]
    rates, needs = as_markdown(rows).split("\n\n")
    assert "| `resnet50-cnn` | 1448 px, an upload | 500.0 kB | 36,000 | 27.8 |" in rates
    assert f"| {ALONE} | 1448 px, an upload | 500.0 kB | 72,000 | 13.9 |" in rates
    assert needs.splitlines()[2:] == [
        # 11.6 a second over 10 of a core; 500 kB are 4 Mbit; both over 0.6
        "| 1,000,000 | `resnet50-cnn` | 11.6 | 1.93 | 0.08 | 0.10 |",
        "| 100,000,000 | `resnet50-cnn` | 1,160 | 193 | 7.72 | 10.0 |",
        "| 10,000,000,000 | `resnet50-cnn` | 116,000 | 19,300 | 772 | 1,000 |",
    ]


@pytest.mark.parametrize(
    ("number", "words"), [(0.0123, "0.01"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (1234.5, "1,230")]
)
def test_amounts_have_three_digits_at_most(number, words):
    assert amount(number) == words
