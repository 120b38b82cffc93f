"""What whole runs share: figures are drawn where a test looks at them."""

import contextlib

import pytest


@pytest.fixture(scope="session")
def no_figures():
    """Context in which runs draw nothing: it takes longer than a small training."""

    @contextlib.contextmanager
    def without():
        with pytest.MonkeyPatch.context() as patch:
            for name in ("write_figures", "examples_of", "write_page"):
                patch.setattr(f"igam_tf.reports.{name}", lambda *args, **kwargs: None)
            yield

    return without


@pytest.fixture
def without_figures(no_figures):
    """A test whose runs draw nothing."""
    with no_figures():
        yield
