"""What whole runs share: figures are drawn where a test looks at them."""

import pytest


@pytest.fixture
def without_figures(monkeypatch):
    """Runs draw nothing, which takes longer than a small row's training."""
    for name in ("write_figures", "examples_of", "write_page"):
        monkeypatch.setattr(f"igam_tf.reports.{name}", lambda *args, **kwargs: None)
