"""Names that are imported late: the public ones, and those that have moved."""

import importlib
import warnings

import pytest

import igam_tf
from igam_tf import lazy

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    "name, place",
    {
        "directions": "derivatives.directions",
        "moments": "derivatives.moments",
        "padding": "transforms.padding",
        "seen_pixels": "transforms.seen_pixels",
    }.items(),
)
def test_modules_that_moved_are_found_with_a_warning(name, place):
    with pytest.warns(DeprecationWarning, match=f"{name} is now igam_tf.{place}"):
        found = getattr(igam_tf, name)
    assert found is importlib.import_module(f"igam_tf.{place}")
    assert name not in igam_tf.__all__ and name not in dir(igam_tf)


def test_public_names_come_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert igam_tf.distribution.set_seed is igam_tf.distribution.set_seed
        assert callable(igam_tf.transforms.input_transform)


def test_other_names_are_refused():
    _, find, _ = lazy.exports("igam_tf", {"evaluate": "evaluation"})
    with pytest.raises(AttributeError, match="'igam_tf' has no attribute 'nothing'"):
        find("nothing")
