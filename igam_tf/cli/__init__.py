"""Command lines: the only place that knows flags and arguments.

    igam-tf run | evaluate | report | checkpoints

`run.py`, `python -m igam_tf.evaluate`, `python -m igam_tf.reports` and `python -m
igam_tf.checkpoints` are the same commands.
"""
