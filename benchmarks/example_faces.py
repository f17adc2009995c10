"""Make the generated faces that the Space offers to try: space/examples/generated.jpg and generated-too.jpg.

    pip install --no-deps gan-face-generate==1.1.1
    python benchmarks/example_faces.py

They are by the DCGAN of that package (Chien Liu, MIT), which learned from renderings (DigiFace-1M) and draws 64 pixels,
here enlarged to 256. No model here has seen it. Others of its faces are found less often: of the 17 of these 48 that
were looked at, the thorough model called 6 generated and left 11 open, as it does the second one here.
"""

from pathlib import Path

import torch
from gan_face_generate import models  # pyright: ignore[reportMissingImports]  # installed by hand, see above
from PIL import Image

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
    for name, number in CHOSEN.items():
        pixels = ((drawn[number].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).byte().numpy()
        face = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        face.save(EXAMPLES / name, quality=92)


if __name__ == "__main__":
    main()
