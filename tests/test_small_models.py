"""The networks that the tests ship, and the setting that makes them anew."""

import numpy as np
import pytest
import small_models


@pytest.mark.parametrize("name", small_models.TRAINED)
def test_a_shipped_network_reads_digits(name):
    """Other weights than those of its training, or in another order, read nothing."""
    images, labels = small_models.digits()
    model = getattr(small_models, name)()
    right = model.predict(images[1200:], verbose=0).argmax(axis=1) == labels[1200:]
    # 90 to 93 % with four seeds; chance is 10 %.
    assert right.mean() > 0.8
    assert small_models.weights_file(name).stat().st_size < 100_000


def test_another_seed_is_another_network(monkeypatch):
    kernels = []
    for setting in ("0", "1", "1", "2"):
        monkeypatch.setenv("IGAM_TF_TEST_SEED", setting)
        small_models.set_seed(3)
        kernels.append(small_models.new_perceptron().get_weights()[0])
    assert small_models.shifted(3) == 2003
    np.testing.assert_array_equal(kernels[1], kernels[2])
    assert (kernels[0] != kernels[1]).any() and (kernels[1] != kernels[3]).any()
