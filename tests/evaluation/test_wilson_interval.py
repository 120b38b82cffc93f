"""Wilson's interval against published values."""

import pytest

from igam_tf.evaluation import wilson_interval

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    "num_correct, num_examples, expected",
    [
        # Newcombe (1998), Table I, method 3.
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_published_values(num_correct, num_examples, expected):
    interval = wilson_interval(num_correct, num_examples)
    assert interval == pytest.approx(expected, abs=1e-4)
    low, high = wilson_interval(num_examples - num_correct, num_examples)
    assert (1 - high, 1 - low) == pytest.approx(expected, abs=1e-4)


def test_no_accuracy_of_nothing():
    with pytest.raises(ValueError, match="zero images"):
        wilson_interval(0, 0)
