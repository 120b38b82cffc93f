"""Names of the figures of a run. Nothing here imports TensorFlow."""

FIGURES = ("input_gradients", "surfaces", "bars", "alignment")
