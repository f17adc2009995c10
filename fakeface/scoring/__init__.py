"""The parts of `fakeface.score`: what there is to score, who prepares it, and where results are kept."""
