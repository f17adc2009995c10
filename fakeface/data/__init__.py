"""Datasets of labelled faces: open, split, equalise, match."""
