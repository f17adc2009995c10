"""The two labels, where workers that must start fast can have them: the config's module imports transformers."""

LABELS = ("real", "generated")  # as in fakeface.configuration_fakeface
