"""The format of TensorFlow 1 checkpoints, and the names of their variables."""
