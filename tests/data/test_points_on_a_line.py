"""The toy of PAG."""

import numpy as np

from igam_tf import data


def test_points_lie_on_the_line_and_begin_with_all_modes():
    task = data.read("points_on_a_line", None, train_examples=12)
    assert (len(task.train), len(task.test)) == (12, 600)
    assert (task.train_total, task.image_shape) == (6000, (1, 2, 1))
    x = task.test.images.reshape(-1, 2).astype(np.float64) - 0.5
    np.testing.assert_allclose(x[:, 1], 2 * x[:, 0], atol=1e-6)
    np.testing.assert_array_equal(task.train.labels, [0, 1] * 6)
    along = x @ np.array([1.0, 2.0]) / np.sqrt(5.0)
    modes = np.round(along / 0.2 + 2.5)
    np.testing.assert_array_equal(np.bincount(modes.astype(int)), [100] * 6)
    assert np.abs(along - 0.2 * (modes - 2.5)).max() < 0.03
