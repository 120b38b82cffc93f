"""What whole runs share: figures are drawn where a test looks at them."""

import contextlib
import functools

import pytest


@pytest.fixture(autouse=True, scope="module")
def _coarse_surfaces():
    """Loss surfaces of 15 x 15 points, not of 61 x 61; the quickstart draws all."""
    from igam_tf.reports import figures

    coarse = functools.partial(figures.plot_loss_surface, num_points=15)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "plot_loss_surface", coarse)
        yield


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
