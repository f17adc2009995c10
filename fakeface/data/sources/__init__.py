"""Read what publishers of pictures publish, as it is."""
