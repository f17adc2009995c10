"""Model folders of earlier versions still open, by our loader and by their own code, and give the logits they gave."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import picture

from fakeface.configuration_fakeface import FORMAT_VERSION
from fakeface.model_folder.opening import load_model_folder
from fakeface.release.export import export_folder

FROZEN = Path(__file__).parent / "frozen"
LOGITS = {
    "format-1": [-0.43518590927124023, 0.27536648511886597],
    "format-1-faces": [-0.8025615811347961, -1.5157051086425781],
    "format-2": [0.12010208517313004, -0.13542073965072632],
    "format-3": [-0.2444184422492981, -0.1689334660768509],
    "format-4": [0.12723325192928314, -0.4669254422187805],
}
OPEN = """
import json, sys
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification
told = {}
for folder in sys.argv[2:]:
    model = AutoModelForImageClassification.from_pretrained(folder, trust_remote_code=True).eval()
    inputs = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)(
        Image.open(sys.argv[1]), return_tensors="pt"
    )
    told[folder] = model(**inputs).logits[0].tolist()
print(json.dumps(told))
"""


def logits(folder: Path) -> torch.Tensor:
    model, processor = load_model_folder(str(folder))
    with torch.no_grad():
        return model.eval()(**processor(picture(), return_tensors="pt")).logits[0]


def test_every_format_has_a_frozen_folder():
    configs = [json.loads((FROZEN / name / "config.json").read_text()) for name in LOGITS]
    assert {config.get("format_version", 1) for config in configs} == set(range(1, FORMAT_VERSION + 1))
    assert {folder.name for folder in FROZEN.iterdir() if folder.is_dir()} == LOGITS.keys()


@pytest.mark.parametrize("name", LOGITS)
def test_it_opens_with_the_logits_and_the_calibration_it_had(name: str, tmp_path: Path):
    torch.testing.assert_close(logits(FROZEN / name), torch.tensor(LOGITS[name]), rtol=0, atol=1e-5)
    model, processor = load_model_folder(str(FROZEN / name))
    numbers = ("temperature", "bias", "threshold_generated", "threshold_real", "target_fpr", "smallest_face")
    assert [getattr(model.config, number) for number in numbers] == [1.5, -0.3, 0.9, 0.2, 0.01, 32]
    assert processor.crop_fraction == 0.875
    export_folder(str(FROZEN / name), tmp_path / "anew")
    assert json.loads((tmp_path / "anew" / "config.json").read_text())["format_version"] == FORMAT_VERSION
    torch.testing.assert_close(logits(tmp_path / "anew"), torch.tensor(LOGITS[name]), rtol=0, atol=1e-5)


def test_its_own_code_still_runs_in_these_versions_of_the_libraries(tmp_path: Path):
    picture().save(tmp_path / "picture.png")
    folders = [str(FROZEN / name) for name in LOGITS]
    done = subprocess.run(
        [sys.executable, "-I", "-c", OPEN, str(tmp_path / "picture.png"), *folders],
        env={**os.environ, "HF_HOME": str(tmp_path / "home")}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for folder, found in json.loads(done.stdout.splitlines()[-1]).items():
        assert found == pytest.approx(LOGITS[Path(folder).name], abs=1e-5)
