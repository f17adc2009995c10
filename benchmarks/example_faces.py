"""Make the generated faces that the Space offers to try: space/examples/generated.jpg and generated-too.jpg.

    pip install --no-deps gan-face-generate==1.1.1
    python benchmarks/example_faces.py

They are by the DCGAN of that package (Chien Liu, MIT), which learned from renderings (DigiFace-1M) and draws 64 pixels,
here enlarged to 256. No model here has learned from it. Prints the default model's verdicts on all 48 that are drawn:
the first example is one that it calls generated, the second one that it leaves open.
"""

from collections import Counter
from pathlib import Path

import torch
from gan_face_generate import models  # pyright: ignore[reportMissingImports]  # installed by hand, see above
from PIL import Image

from fakeface import Detector

EXAMPLES = Path(__file__).resolve().parents[1] / "space" / "examples"
DRAWN, SIDE = 48, 256
CHOSEN = {"generated.jpg": 0, "generated-too.jpg": 42}


def main() -> None:
    weights = torch.load(Path(models.__file__).with_name("weights.tar"), map_location="cpu", weights_only=True)
    generator = models.Generator(0, 3, 100, 64).eval()
    generator.load_state_dict(weights["netG_state_dict"])
    torch.manual_seed(1)
    with torch.no_grad():
        drawn = generator(torch.randn(DRAWN, 100, 1, 1))
    pixels = ((drawn.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    faces = [Image.fromarray(each).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for each in pixels]
    for name, number in CHOSEN.items():
        faces[number].save(EXAMPLES / name, quality=92)
    print(Counter(result.verdict for result in Detector.from_pretrained()(faces)))


if __name__ == "__main__":
    main()
