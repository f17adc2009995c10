"""Reports as text, in which names cannot pass for cells."""

from fakeface.reports.markdown import figure, percent, table


def test_figures_have_their_interval():
    row = {"auc": 0.98765, "auc_interval": (0.98, 0.99), "fpr": 0.0123, "fpr_interval": (0.006, 0.023), "ece": None}
    assert figure(row, "auc") == "0.988 (0.980–0.990)"
    assert percent(row, "fpr") == "1.2 % (0.6–2.3)"
    assert figure(row, "ece") == "–"
    assert percent(row, "miss_rate") == "–"


def test_a_name_is_one_cell_of_one_line():
    text = table(["a", "b"], [["x | y\nz", "<b>"]])
    assert text.splitlines()[2:] == ["| x \\| y z | &lt;b> |"]
