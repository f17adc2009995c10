"""Reconstructions: tiny autoencoders of diffusers' own, with random weights, from folders."""

import io
import sys

import numpy as np
import pytest
import torch
from autoencoders import save_tiny_autoencoder
from PIL import Image

from fakeface.data.equalise import History
from fakeface.data.reconstruct import Autoencoder, ReconstructionError, negative_row, negatives, reconstruct
from fakeface.images.load import load_picture

diffusers = pytest.importorskip("diffusers", reason="needs the extra `reconstruct`")

BLOCKS = {"block_out_channels": (4, 4), "norm_num_groups": 2, "layers_per_block": 1}
DOWN = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}


def photo(width=40, height=40, seed=0):
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def encoded(seed):
    buffer = io.BytesIO()
    photo(seed=seed).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    save_tiny_autoencoder(root / "tiny")
    diffusers.AutoencoderKL(**BLOCKS, **DOWN, latent_channels=2).save_pretrained(root / "pipeline" / "vae")
    diffusers.VQModel(**BLOCKS, **DOWN, latent_channels=2, num_vq_embeddings=8).save_pretrained(root / "vq")
    return root


@pytest.mark.parametrize("name", ["tiny", "pipeline", "vq"])
def test_every_kind_of_autoencoder_gives_pictures_of_the_same_size(folders, name):
    autoencoder = Autoencoder.from_pretrained(folders / name, device="cpu")
    assert autoencoder.name == name
    pictures = [photo(40, 40), photo(37, 52), photo(40, 40, seed=1)]
    made = list(reconstruct(pictures, autoencoder, batch=2))
    assert [picture.size for picture in made] == [(40, 40), (37, 52), (40, 40)]
    assert made[0].tobytes() != pictures[0].tobytes()
    # Alone or in a batch with others, to the last grey level of rounding.
    alone = np.asarray(autoencoder([pictures[2]])[0], int)
    assert np.abs(alone - np.asarray(made[2], int)).max() <= 1


def test_a_fingerprint_is_of_the_weights_and_not_of_their_place(folders, tmp_path):
    def fingerprint(folder):
        return Autoencoder.from_pretrained(folder, device="cpu").fingerprint

    first = fingerprint(folders / "tiny")
    assert len(first) == 64
    save_tiny_autoencoder(tmp_path / "again")
    assert fingerprint(tmp_path / "again") == first
    save_tiny_autoencoder(tmp_path / "other", seed=1)
    assert fingerprint(tmp_path / "other") != first


def test_an_autoencoder_that_copies_gives_the_picture_back():
    class Copies(torch.nn.Module):
        device, dtype = torch.device("cpu"), torch.float32

        def encode(self, x):
            return type("Output", (), {"latents": x})

        def decode(self, latents):
            return type("Output", (), {"sample": latents})

    picture = photo(45, 33)
    (made,) = Autoencoder(Copies(), "copies")([picture])
    assert made.tobytes() == picture.tobytes()
    (shrunk,) = Autoencoder(Copies(), "copies")([photo(2048, 1024)])
    assert shrunk.size == (1024, 512)


def test_a_negative_stays_with_its_original():
    row = {"image": {}, "label": 0, "generator": "none", "source": "ffhq", "group": 7, "phash": "0f" * 8, "sha256": "x"}
    assert negative_row(row, "taesd") == {
        "label": 1, "generator": "reconstruction:taesd", "source": "ffhq", "group": 7, "phash": "0f" * 8
    }  # fmt: skip


def test_negatives_are_made_of_readable_photographs_only(folders):
    rows = [
        {"image": encoded(0), "label": 0, "source": "a", "generator": "none"},
        {"image": encoded(1), "label": 1, "source": "b", "generator": "stylegan"},
        {"image": {"bytes": b"no picture", "path": None}, "label": 0, "source": "a", "generator": "none"},
        {"image": encoded(2), "label": 0, "source": "c", "generator": "none"},
    ]
    autoencoder = Autoencoder.from_pretrained(folders / "tiny", device="cpu")
    made = list(negatives(rows, autoencoder, History(size=32)))
    assert [(row["source"], row["label"], row["generator"]) for row in made] == [
        ("a", 1, "reconstruction:tiny"), ("c", 1, "reconstruction:tiny")
    ]  # fmt: skip
    assert load_picture(made[0]["image"]).size == (32, 32)
    assert [row["image"] for row in negatives(rows, autoencoder, History(size=32))] == [row["image"] for row in made]


def test_what_cannot_be_used_is_named_with_the_cure(folders, tmp_path, monkeypatch):
    with pytest.raises(ReconstructionError, match=r"nowhere: no autoencoder .*give the folder"):
        Autoencoder.from_pretrained(tmp_path / "nowhere")
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    with pytest.raises(ReconstructionError, match="names the class 'UNet2DModel'"):
        Autoencoder.from_pretrained(tmp_path / "unet")
    save_tiny_autoencoder(tmp_path / "grey", colours=1)
    with pytest.raises(ReconstructionError, match=r"^grey: fails on 1 pictures of 64x64 pixels .*; take an"):
        Autoencoder.from_pretrained(tmp_path / "grey", device="cpu")([photo()])
    # Weights in a pickle are not read, whatever they are.
    pickled = tmp_path / "pickled"
    diffusers.AutoencoderTiny.from_pretrained(folders / "tiny").save_pretrained(pickled, safe_serialization=False)
    with pytest.raises(ReconstructionError, match="pickled: its weights cannot be loaded"):
        Autoencoder.from_pretrained(pickled)
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ReconstructionError, match="pip install"):
        Autoencoder.from_pretrained(folders / "tiny")
