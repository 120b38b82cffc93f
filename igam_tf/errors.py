"""Errors that callers tell apart; importable without TensorFlow."""


class WorkerLostError(RuntimeError):
    """Another worker of a multi-worker training went away."""
