"""Each corruption on images whose corrupted form is known, and what all share."""

import numpy as np
import pytest

from igam_tf.evaluation.corruptions import names
from igam_tf.evaluation.corruptions.making import corrupted

MADE = [kind for kind in names.PAPER + names.EXTRA if kind not in names.NOT_MADE]
GREY = np.full((2, 32, 32, 3), 128 / 255)


def photos(count=3, side=32):
    """Smooth images of some contrast."""
    place = np.linspace(0, 3, side)
    waves = [np.sin(place[:, None] * (k + 1) + k) * np.cos(place) for k in range(count)]
    image = np.stack(waves)[..., None] * np.array([0.4, 0.3, 0.2]) + 0.5
    return np.floor(255 * image) / 255


@pytest.mark.parametrize("kind", MADE)
def test_an_image_is_corrupted_alike_in_any_batch(kind):
    images = photos()
    found = corrupted(images, kind, 3, seed=4)
    assert found.dtype == np.uint8 and found.shape == images.shape
    assert (found != np.uint8(255 * images)).any()
    alone = corrupted(images[1:], kind, 3, seed=4, first_index=1)
    np.testing.assert_array_equal(alone, found[1:])


@pytest.mark.parametrize("kind", ["gaussian_noise", "motion_blur", "fog"])
def test_seed_place_and_severity_change_what_is_drawn(kind):
    one = np.repeat(photos(1), 2, axis=0)
    found = corrupted(one, kind, 2)
    assert (found[0] != found[1]).any()
    assert (found != corrupted(one, kind, 2, seed=1)).any()
    assert (found != corrupted(one, kind, 3)).any()


def test_noise_has_the_published_strength():
    many = np.full((20, 32, 32, 3), 0.5)
    for kind, severity, spread in (
        ("gaussian_noise", 1, 0.04),
        ("speckle_noise", 5, 0.20 * 0.5),
        ("shot_noise", 5, np.sqrt(0.5 / 50)),
    ):
        noise = corrupted(many, kind, severity) / 255 - 0.5
        assert noise.std() == pytest.approx(spread, rel=0.03)
    changed = corrupted(many, "impulse_noise", 5)
    assert (changed == 255).mean() == pytest.approx(0.035, abs=0.003)
    assert (changed == 0).mean() == pytest.approx(0.035, abs=0.003)


def test_colours_by_hand():
    images = np.zeros((1, 2, 2, 3))
    images[..., 0], images[0, 0, 0, 0] = 0.4, 0.8
    # The red channel's mean is 0.5; contrast 5 keeps 0.15 of the distances from it.
    found = corrupted(images, "contrast", 5)[0, :, :, 0]
    np.testing.assert_array_equal(found, [[138, 123], [123, 123]])
    brighter = corrupted(images, "brightness", 5)[0]
    np.testing.assert_array_equal(brighter[0, 1], [np.floor(255 * 0.7), 0, 0])
    assert corrupted(images[..., :1], "brightness", 1)[0, 0, 1, 0] == 114
    # Saturation 1 falls to 0.3: of 0.4 red, 0.7 are mixed into the other channels.
    paler = corrupted(images, "saturate", 1)[0, 0, 1]
    np.testing.assert_array_equal(paler, [102, 71, 71])


@pytest.mark.parametrize(
    "kind", [kind for kind in MADE if kind.endswith("blur")] + ["elastic_transform"]
)
def test_blurs_and_warps_leave_one_colour_alone(kind):
    np.testing.assert_array_equal(corrupted(GREY, kind, 4), 128)


def test_blurs_of_a_point():
    point = np.zeros((1, 9, 9, 1))
    point[0, 4, 4] = 1.0
    # Disk of radius 1: five pixels, whose edge of 0.2 pixels changes nothing much.
    disk = corrupted(point, "defocus_blur", 4)[0, ..., 0]
    np.testing.assert_array_equal(
        disk[3:6, 3:6], [[0, 50, 0], [50, 51, 50], [0, 50, 0]]
    )
    assert disk.sum() == 251
    # A line that begins at the point: weights fall off to one side.
    line = corrupted(point, "motion_blur", 5)[0, ..., 0]
    assert line[4, 4] == line.max() and not line[:, 5:].any()
    # An image keeps its pixels, from no farther than the next place.
    numbered = np.arange(256).reshape(1, 16, 16, 1) / 255
    moved = corrupted(numbered, "glass_blur", 1)[0, ..., 0].astype(int)
    steps = np.arange(256).reshape(16, 16) - moved
    assert set(np.unique(steps)) == {0, 1, 16, 17}


@pytest.mark.parametrize("severity, end", enumerate((1.06, 1.11, 1.16, 1.21, 1.26), 1))
def test_zoom_blur_enlarges_as_the_published_script(severity, end, monkeypatch):
    from igam_tf.evaluation.corruptions import blurs

    factors = []
    monkeypatch.setattr(
        blurs, "_enlarged", lambda x, factor: factors.append(factor) or x
    )
    corrupted(GREY, "zoom_blur", severity)
    # NumPy's own range, whose rounding lets an end in.
    np.testing.assert_allclose(factors, np.arange(1, end, 0.01))


def test_an_affine_warp_without_shift_is_none():
    from igam_tf.evaluation.corruptions import warps

    images = photos(2, side=12)
    draws = [np.random.default_rng(0)] * 2
    rows, columns = warps._affine(images, 0.0, draws)
    np.testing.assert_allclose(warps._sampled(images, rows, columns), images)
    # Half a pixel down is the mean of two rows; beyond the edge the image is mirrored.
    found = warps._sampled(images, rows + 0.5, columns)
    np.testing.assert_allclose(found[:, :-1], (images[:, :-1] + images[:, 1:]) / 2)
    np.testing.assert_allclose(found[:, -1], (images[:, -1] + images[:, -2]) / 2)


def test_other_sizes_and_grey_levels():
    for shape in ((1, 8, 8, 1), (1, 28, 28, 1), (1, 20, 48, 3)):
        images = np.random.default_rng(0).uniform(size=shape)
        for kind in MADE:
            if kind != "saturate" or shape[-1] == 3:
                assert corrupted(images, kind, 5).shape == shape


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((GREY, "frost", 1), "'frost' is not made here"),
        ((GREY, "noise", 1), "corruption 'noise': expected 'all'"),
        ((GREY, "fog", 6), "whole numbers from 1 to 5"),
        ((GREY, "fog", True), "whole numbers from 1 to 5"),
        ((GREY[0], "fog", 1), r"expected \(n, height, width, channels\)"),
        ((GREY[..., :1], "saturate", 1), "expected colours"),
        ((np.uint8(255 * GREY), "fog", 1), "uint8 from 128 to 128: expected floating"),
        ((255 * GREY, "fog", 1), "divide grey levels by 255"),
        ((GREY * np.nan, "fog", 1), "float64 from nan to nan"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        corrupted(*arguments)
