"""benchmarks/readme_tables.py: the README's tables come from the committed CSV files."""

import json
from pathlib import Path

import pandas as pd
import pytest
from readme_tables import by_family, compared, how_good
from scored import rows
from shipped_models import measured


@pytest.mark.parametrize(("name", "made"), [("how good", how_good), ("comparison", compared)])
def test_the_readme_shows_the_committed_figures(name: str, made, repo: Path):
    block = (repo / "README.md").read_text(encoding="utf-8").partition(f"<!-- {name}: ")[2]
    assert block.partition(" -->\n")[2].partition(f"<!-- end of {name} -->")[0].strip() == made()


def test_the_hardest_pictures_come_first_and_views_do_not_mix(tmp_path: Path):
    (tmp_path / "shipped_models.csv").write_text(
        "model,pictures,view,n_real,n_generated,auc,auc_low,auc_high,tpr_at_fpr_0.01,fpr,miss_rate\n"
        "vit,test,clean,100,50,0.9,0.8,0.95,0.5,0.03,0.1\nvit,test,delivered,100,50,0.1,0,0.2,0,1,1\n"
        'vit,"unseen, 2022 to 2026",clean,10,5,0.85,0.8,0.9,0.4,0.1,0.2\n'
    )
    *_, first, second = how_good(tmp_path).splitlines()
    assert first == (
        "| unseen sources, 2022 to 2026 | `vit` | 10 + 5 | 0.850 (0.800–0.900) | 40.0 % | 10.0 % | 20.0 % |"
    )
    assert second == "| test, known sources | `vit` | 100 + 50 | 0.900 (0.800–0.950) | 50.0 % | 3.0 % | 10.0 % |"


def test_families_stand_below_their_pictures(tmp_path: Path):
    scores = pd.concat([
        rows(split, "clean", label, source, generator, values)
        for split, label, source, generator, values in (
            ("test", 0, "ffhq", "none", [0.1] * 120),
            ("test", 1, "a", "stylegan2", [0.9] * 20),
            ("test", 1, "a", "stylegan", [0.0] * 20),
            ("unseen", 0, "phone", "none", [0.1] * 120),
            ("unseen", 1, "b", "flux.1-dev", [0.8] * 30),
        )
    ])  # fmt: skip
    scores.to_csv(tmp_path / "scores.csv", index=False)
    point = {"threshold_generated": 0.5, "threshold_real": 0.5, "target_fpr": 0.01}
    report = {"operating_point": point, "weights_sha256": "a" * 64}
    (tmp_path / "evaluation.json").write_text(json.dumps(report))
    overall, families = measured("fast", tmp_path)
    assert [(row["pictures"], row["n_real"], row["n_generated"]) for row in overall] == [
        ("test", 120, 40), ("unseen, 2022 to 2026", 120, 30), ("unseen, all", 120, 30)
    ]  # fmt: skip
    pd.DataFrame(families).to_csv(tmp_path / "shipped_families.csv", index=False)
    assert by_family(tmp_path).splitlines()[2:] == [
        "| unseen sources, 2022 to 2026, clean | diffusion | `fast` | 1 | 30 | 1.000 (1.000–1.000) | 100.0 % | 0.0 % |",
        "| test, known sources, clean | gan | `fast` | 2 | 40 | 0.500 (0.350–0.650) | 50.0 % | 50.0 % |",
    ]


def test_each_detector_is_compared_on_what_suits_it(tmp_path: Path):
    new, old = '"unseen, 2022 to 2026",2,3', '"unseen, 2018 to 2022",4,5'
    (tmp_path / "peers.csv").write_text(
        "model,judged,pictures,n_real,n_generated,auc,auc_low,auc_high\n"
        f"theirs,found face,{new},0.7,0.6,0.8\ntheirs,whole picture,{new},0.6,0.5,0.7\n"
        f"theirs,found face,{old},0.8,0.7,0.9\ntheirs,whole picture,{old},0.9,0.8,1\n"
        f"ours,found face,{new},0.9,0.8,1\nours,found face,{old},0.75,0.7,0.8\n"
    )
    assert compared(tmp_path).splitlines() == [
        "| AUC | unseen sources, 2022 to 2026, 2 + 3 | unseen sources, 2018 to 2022, 4 + 5 |",
        "| --- | --- | --- |",
        "| `ours` | 0.900 (0.800–1.000) | 0.750 (0.700–0.800) |",
        "| `theirs` | 0.700 (0.600–0.800) | 0.900 (0.800–1.000) |",
    ]
