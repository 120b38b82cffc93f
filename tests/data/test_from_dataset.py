"""tf.data.Dataset as Keras makes it, and what is refused with the way out."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from igam_tf import data

pytestmark = pytest.mark.fast


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three classes of two images; the red is a hundred times the class."""
    root = tmp_path_factory.mktemp("photos")
    for label, name in enumerate("abc"):
        (root / name).mkdir()
        for i in range(2):
            Image.new("RGB", (9, 7), (100 * label, 255, 0)).save(
                root / name / f"{i}.png"
            )
    return root


@pytest.mark.parametrize("label_mode", ["int", "categorical"])
def test_keras_image_folders_as_they_are(photos, label_mode):
    made = keras.utils.image_dataset_from_directory(
        photos, image_size=(6, 8), batch_size=4, label_mode=label_mode, verbose=False
    )
    batches = data.from_dataset(made, input_range=(0, 255))
    assert batches.class_names == ["a", "b", "c"]
    assert len(batches) == 2
    for images, labels in batches:
        assert images.dtype == tf.float32 and labels.dtype == tf.int32
        data.check_images(images)
        red = images.numpy()[:, 0, 0, 0] * 255
        np.testing.assert_allclose(red, 100 * labels.numpy(), atol=1e-3)


def made(images, labels, batch=2):
    found = tf.data.Dataset.from_tensor_slices((images, labels))
    return found.batch(batch) if batch else found


def test_other_ranges_and_binary_labels():
    images = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 2, 2, 1)
    labels = np.array([[0.0], [1.0]], np.float32)
    (found,) = data.from_dataset(made(images, labels), (-1, 1))
    np.testing.assert_allclose(found[0], (images + 1) / 2, atol=1e-6)
    assert found[1].numpy().tolist() == [0, 1]


GREY = np.full((2, 4, 4, 3), 200, np.float32)
LABELS = np.array([0, 1])


@pytest.mark.parametrize(
    "dataset, options, message",
    [
        (made(GREY / 255, LABELS), {}, r"looks like \[0, 1\]: pass input_range=\(0, 1"),
        (made(GREY, LABELS), {"input_range": (0, 1)}, "from 200 to 200 in the first"),
        (
            made(GREY, LABELS),
            {"input_range": (1, 1)},
            "expected the least and the larg",
        ),
        (made(GREY, LABELS, batch=0), {}, r"pass dataset.batch\(32\)"),
        (made(GREY, LABELS).take(0), {}, "empty"),
        (made(GREY, np.eye(2) * 0.9), {}, "not exactly one-hot"),
        (made(GREY, LABELS + 0.5), {}, "expected whole numbers"),
        (made(GREY, np.eye(2)), {"num_classes": 3}, "one-hot rows of 3 columns"),
        (made(GREY, LABELS).map(lambda x, y: x), {}, 'labels="inferred"'),
    ],
)
def test_what_is_no_data_set_of_images(dataset, options, message):
    with pytest.raises(ValueError, match=message):
        data.from_dataset(dataset, **options)


def test_arrays_are_no_data_set():
    with pytest.raises(TypeError, match="ndarray: expected a tf.data.Dataset"):
        data.from_dataset(GREY)


def test_grey_levels_given_to_a_method_name_the_way_out():
    with pytest.raises(
        ValueError, match=r"from_dataset\(dataset, input_range=\(0, 255"
    ):
        data.check_images(GREY)
