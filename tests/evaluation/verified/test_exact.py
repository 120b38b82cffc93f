"""What bounds leave open: a network of one pixel by hand, others against all points."""

import numpy as np
import pytest

from igam_tf.evaluation.verified import PiecewiseLinear, margins, verify
from igam_tf.evaluation.verified.exact import decide


def distance_net(constant):
    """Logits |x - 0.5| and a constant, of one pixel x."""
    hidden = np.array([[1.0], [-1.0]]), np.array([-0.5, 0.5])
    output = np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([0.0, constant])
    return PiecewiseLinear((hidden, output))


IMAGE = np.full((1, 1, 1), 0.6)


def test_a_pixel_by_hand():
    """x from 0.4 to 0.8: the bound of |x - 0.5| is -0.1, and the truth 0."""
    net = distance_net(-0.05)
    assert margins(net, IMAGE, 0, 0.2, "linf")[0] == pytest.approx(-0.05)
    assert decide(net, IMAGE, 0, 0.2, seconds=60) == "robust"
    # It leads by 0.05, and by no more.
    assert decide(net, IMAGE, 0, 0.2, seconds=60, slack=0.04) == "robust"
    assert decide(net, IMAGE, 0, 0.2, seconds=60, slack=0.06) == "open"
    # The constant is larger from 0.45 to 0.55.
    assert decide(distance_net(0.05), IMAGE, 0, 0.2, seconds=60) == "misled"
    assert decide(distance_net(0.05), IMAGE, 0, 0.04, seconds=60) == "robust"
    assert decide(net, IMAGE, 0, 0.2, seconds=0) == "open"


def test_the_ball_ends_at_black_and_white():
    """|x - 0.5| is 0.5 at most, at a pixel of 0 or 1."""
    net = distance_net(0.501)
    assert decide(net, np.ones((1, 1, 1)), 1, 0.3, seconds=60) == "robust"


@pytest.mark.parametrize("seed", range(6))
def test_two_layers_against_all_points(seed):
    """Of two pixels, on a grid: the least margin is decided, unless it is about 0."""
    generator = np.random.default_rng(seed)
    sizes = (2, 8, 8, 3)
    layers = tuple(
        (generator.normal(size=(b, a)), 0.5 * generator.normal(size=b))
        for a, b in zip(sizes, sizes[1:])
    )
    net, image, eps = PiecewiseLinear(layers), generator.uniform(size=2), 0.25
    ends = np.maximum(image - eps, 0), np.minimum(image + eps, 1)
    axes = [np.linspace(low, high, 201) for low, high in zip(*ends)]
    logits = net(np.stack(np.meshgrid(*axes), -1).reshape(-1, 2))
    label = int(net(image[None])[0].argmax())
    least = (logits[:, [label]] - np.delete(logits, label, axis=1)).min()
    assert abs(least) > 0.02, "no case: choose other seeds"
    found = decide(net, image.reshape(1, 2, 1), label, eps, seconds=60)
    assert found == ("robust" if least > 0 else "misled")


def test_images_are_counted():
    """The first is proved by the programme alone; the second and third are wrong."""
    net = distance_net(-0.05)
    images = np.float32([0.6, 0.6, 0.9]).reshape(3, 1, 1, 1)
    data = images, np.array([0, 1, 1])
    bounds = verify(net, data, eps=0.2, progress=False)
    assert bounds["num_correct"] == 0 and "num_open" not in bounds
    exact = verify(net, data, eps=0.2, progress=False, exact_seconds=60)
    assert (exact["num_correct"], exact["num_open"]) == (1, 0)
    assert exact["method"] == "CROWN, 1 layers of ReLUs, and MILP of 60 s"
    with pytest.raises(ValueError, match="exact_seconds is 60 with norm 'l2'"):
        verify(net, data, eps=0.2, norm="l2", progress=False, exact_seconds=60)


def test_without_relus_by_hand():
    """Logits x and 0.5: the constant is larger from 0.4 to 0.5, not from 0.51."""
    net = PiecewiseLinear(((np.array([[1.0], [0.0]]), np.array([0.0, 0.5])),))
    assert decide(net, IMAGE, 0, 0.2, seconds=60) == "misled"
    assert decide(net, IMAGE, 0, 0.09, seconds=60) == "robust"
