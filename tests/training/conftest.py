"""Small networks and real digits for the tests of training."""

import keras
import pytest
import small_models
from small_models import set_seed

from igam_tf import data, models, training


@pytest.fixture(scope="session")
def digits():
    """64 training and 64 test images of the digits, labels their parity."""
    return data.read("digits_parity", train_examples=64, test_examples=64)


@pytest.fixture(scope="session")
def make_igam():
    """Makes a compiled IGAM of networks without batch norm, always the same one."""

    def make(*, discriminator_every=2, optimizer=None, compile_args=None, **kwargs):
        set_seed(3)
        shape = {"image_shape": (8, 8, 1), "filters": (4, 4), "hidden_units": 8}
        student = models.small_cnn(num_classes=2, activation="gelu", **shape)
        teacher = training.with_new_logits(
            models.small_cnn(num_classes=10, **shape),
            num_classes=2,
            image_shape=(8, 8, 1),
        )
        method = training.IGAM(
            student,
            teacher,
            models.discriminator(gradient_shape=(8, 8, 1), channels=(4, 4)),
            discriminator_every=discriminator_every,
            pixel_range=1.0,
            **{"adversarial_weight": 0.5, "difference_weight": 3.0, **kwargs},
        )
        method.compile(
            optimizer or keras.optimizers.Adam(1e-2),
            keras.optimizers.Adam(1e-2),
            **(compile_args or {}),
        )
        return method

    return make


@pytest.fixture(scope="session")
def rewind_igam(make_igam):
    """Function to the one IGAM that `make_igam()` makes, as made: it is traced once."""
    return small_models.rewinding(make_igam())
