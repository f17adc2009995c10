"""Write the trunk of a vit-b16-cnn model folder as safetensors with timm's names, for `train.py --trunk-weights`.

    python benchmarks/trunk_weights.py checkpoints/fakeface-vit-b16-cnn clip.safetensors

The trunk does not learn, so its 8 bits are those of the weights that it was made of: multiplied out, and rounded again
by the next training, they come back as they are.
"""

import argparse
from pathlib import Path

from safetensors.torch import save_file

from fakeface.detector.runtime import multiply_out
from fakeface.model_folder.opening import load_model_folder
from fakeface.modeling_fakeface import TransformerTrunk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    model, _ = load_model_folder(str(options.model))
    trunk = model.fakeface.trunk
    if not isinstance(trunk, TransformerTrunk):
        parser.error(f"{options.model}: is a {model.config.architecture}, whose trunk is another one")
    multiply_out(model)
    save_file({name: tensor.contiguous() for name, tensor in trunk.vit.state_dict().items()}, options.out)


if __name__ == "__main__":
    main()
