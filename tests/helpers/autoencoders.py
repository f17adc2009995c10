"""Real autoencoders of diffusers, small enough for tests."""

from pathlib import Path

import torch


def save_tiny_autoencoder(folder: Path, seed: int = 0, colours: int = 3) -> Path:
    """An `AutoencoderTiny` of four channels with random weights, in a model folder."""
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

    torch.manual_seed(seed)
    fours, ones = (4, 4, 4, 4), (1, 1, 1, 1)
    AutoencoderTiny(
        in_channels=colours,
        out_channels=colours,
        encoder_block_out_channels=fours,
        decoder_block_out_channels=fours,
        num_encoder_blocks=ones,
        num_decoder_blocks=ones,
    ).save_pretrained(folder)
    return folder
