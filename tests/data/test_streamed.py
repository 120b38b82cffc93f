"""Streamed images: the same batches as from memory, and none of them held."""

import io

import numpy as np
import pytest
import tensorflow as tf
from own_images import folder, picture
from PIL import Image

from igam_tf import data
from igam_tf.data import batches, registry, streamed
from igam_tf.data.augmenting import resized_crops
from igam_tf.data.own import pictures
from igam_tf.training import feeding


@pytest.fixture
def mixed(tmp_path):
    """PNGs of several sizes with noise, so that every crop can be told from others."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "mixed" / name).mkdir(parents=True)
        for i in range(6):
            pixels = rng.integers(0, 256, (12 + i, 20 - i, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "mixed" / name / f"{label}{i}.png")
    return tmp_path / "mixed"


def _truncated(root):
    """A JPEG with a good header and half of its body."""
    path = picture(root / "cat" / "cut.jpg", size=(64, 64), quality=95)
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    return path


def _arrays(dataset, count=None):
    found = dataset if count is None else dataset.take(count)
    return [(images.numpy(), labels.numpy()) for images, labels in found]


def _assert_equal(these, those):
    assert len(these) == len(those) > 0
    for a, b in zip(these, those, strict=True):
        np.testing.assert_array_equal(a[1], b[1])
        np.testing.assert_array_equal(a[0], b[0])


def test_batches_are_those_from_memory(mixed):
    """Order, padded crops and flips come from the same seeds."""
    options = {"image_size": 8, "center_crop": 0.875, "progress": False}
    memory = data.read(mixed, stream=False, **options)
    stream = data.read(mixed, stream=True, **options)
    assert stream.train.is_streamed and not memory.train.is_streamed
    assert (stream.train_total, len(stream.test)) == (10, 2)
    changed = data.Augmentation(pad=1, flip=True)
    _assert_equal(
        *(
            _arrays(
                data.training_batches(task.train, 4, augmentation=changed, seed=3), 7
            )
            for task in (memory, stream)
        )
    )
    _assert_equal(
        *(_arrays(data.evaluation_batches(t.train, 4)) for t in (memory, stream))
    )
    np.testing.assert_array_equal(stream.train.images[2:5], memory.train.images[2:5])
    places = np.array([[3, 1], [0, 2]])
    np.testing.assert_array_equal(
        stream.train.images[places], memory.train.images[places]
    )


class _Counting:
    """A source of equal images, each a class of its own, that notes what is read."""

    def __init__(self, count):
        self.count, self.read_places = count, []

    def __len__(self):
        return self.count

    def read(self, place):
        self.read_places.append(place)
        return _PNG, place

    def where(self, place):
        return f"image {place}"


def _png():
    file = io.BytesIO()
    Image.new("RGB", (9, 7), (40, 80, 120)).save(file, "png")
    return file.getvalue()


_PNG = _png()


def _split(count):
    source = _Counting(count)
    images = streamed.StreamedImages("counted", source, (4, 4, 3), num_classes=count)
    return source, data.Split(images, np.arange(count, dtype=np.int32))


@pytest.mark.parametrize("count", [60, 600])
def test_no_more_images_are_decoded_ahead_of_more_images(count):
    source, split = _split(count)
    augmentation = data.Augmentation(resized_crop=0.5)
    dataset = data.training_batches(split, 5, augmentation=augmentation, seed=0)
    iterator = iter(dataset)
    for _ in range(3):
        next(iterator)
    # Three batches taken; two are decoded at once, two wait behind them and two more.
    assert 15 <= len(source.read_places) <= 5 * (3 + 3 * 2 + 1)


def test_a_run_goes_on_within_an_epoch_and_reads_nothing_twice():
    source, split = _split(22)
    augmentation = data.Augmentation(resized_crop=0.1, flip=True)

    def from_step(step):
        source.read_places.clear()
        found = data.training_batches(
            split, 4, augmentation=augmentation, seed=9, first_epoch=1,
            first_step=step, repeat=False,
        )  # fmt: skip
        assert found.cardinality() == 6 - step
        return _arrays(found), sorted(source.read_places)

    whole, read = from_step(0)
    assert read == list(range(22))
    rest, read = from_step(4)
    _assert_equal(whole[4:], rest)
    # Images of a batch are decoded side by side, in any order; their labels tell them.
    assert read == sorted(np.concatenate([labels for _, labels in rest]))
    endless = data.training_batches(
        split, 4, augmentation=augmentation, seed=9, first_epoch=1, first_step=4
    )
    next_epoch = data.training_batches(
        split, 4, augmentation=augmentation, seed=9, first_epoch=2
    )
    _assert_equal(_arrays(endless, 8)[2:], _arrays(next_epoch, 6))
    with pytest.raises(ValueError, match="first_step=6: an epoch has 6 steps"):
        from_step(6)


def test_replicas_share_a_streamed_batch():
    _, split = _split(12)
    dataset = data.training_batches(
        split, 5, augmentation=data.Augmentation(flip=True), seed=2, repeat=False
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    shared = strategy.experimental_distribute_dataset(dataset)
    for (images, labels), whole in zip(shared, _arrays(dataset), strict=True):
        for parts, wanted in ((images, whole[0]), (labels, whole[1])):
            parts = strategy.experimental_local_results(parts)
            assert {len(part) for part in parts} <= {1, 2, 3}
            np.testing.assert_array_equal(np.concatenate(parts), wanted)


def test_damage_within_an_epoch_names_the_file(mixed):
    path = _truncated(mixed)
    options = {"image_size": 8, "stream": True, "progress": False}
    task = data.read(mixed, test_fraction=1, **options)
    dataset = data.evaluation_batches(task.train, 100)
    with pytest.raises(ValueError, match=f"{path.name} cannot be read .*truncated"):
        with batches.damage_named():
            _arrays(dataset)
    expected = feeding.Expected(image_shape=(8, 8, 3), num_classes=2)
    with pytest.raises(ValueError, match=f"^{path} cannot be read .*skip_unreadable"):
        feeding.checked(dataset, None, expected)
    with pytest.warns(UserWarning, match="cannot be read and is left out: .*cut.jpg"):
        kept = data.read(mixed, test_fraction=1, skip_unreadable=True, **options)
    assert len(kept.train) == len(task.train) - 1
    assert (
        sum(len(labels) for _, labels in data.evaluation_batches(kept.train, 5)) == 12
    )


def test_bad_folders_are_refused_when_streamed(tmp_path):
    options = {"image_size": 8, "stream": True}
    (folder(tmp_path / "empty") / "bird").mkdir()
    with pytest.raises(ValueError, match="class 'bird' has no image"):
        registry.find(tmp_path / "empty", **options)
    with pytest.raises(ValueError, match="one class only"):
        registry.find(folder(tmp_path / "one", classes=("cat",)), **options)
    folder(tmp_path / "differ" / "train")
    folder(tmp_path / "differ" / "test", classes=("cat", "Dog"))
    with pytest.raises(ValueError, match="different classes.* differ in case only"):
        registry.find(tmp_path / "differ", **options)
    (folder(tmp_path / "header") / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="1 file of header cannot be read.*0.png"):
        registry.find(tmp_path / "header", **options)


def test_grey_and_cmyk_are_streamed_as_rgb(tmp_path):
    picture(tmp_path / "a" / "grey.jpg", 100, mode="L")
    picture(tmp_path / "b" / "cmyk.jpg", (0, 255, 255, 0), mode="CMYK")
    task = data.read(tmp_path, stream=True, test_fraction=1, progress=False)
    ((images, labels),) = _arrays(data.evaluation_batches(task.test, 2))
    assert images.shape == (2, 10, 12, 3)
    found = dict(zip(labels.tolist(), (255 * images[:, 5, 5]).round().tolist()))
    assert found[0] == [100, 100, 100]
    assert found[1][0] > 200 and max(found[1][1:]) < 60


def test_what_is_streamed_by_itself(mixed, monkeypatch):
    assert not streamed.is_streamed("auto", 2**10, (2**11, 2**11, 1))
    assert streamed.is_streamed("auto", 2**10 + 1, (2**11, 2**11, 1))
    assert streamed.is_streamed("true", 1, (8, 8, 3))
    monkeypatch.setattr(streamed, "STREAM_ABOVE", 12 * 8 * 8 * 3 - 1)
    found = registry.find(mixed, image_size=8, crop_area=0.25)
    assert found.augmentation == data.Augmentation(resized_crop=0.25, flip=True)
    assert data.read(mixed, image_size=8, train_examples=1).train.is_streamed
    assert not data.read(mixed, image_size=7, progress=False).train.is_streamed


def test_what_needs_all_images_at_once_is_refused():
    _, split = _split(5)
    with pytest.raises(ValueError, match="counted is streamed: 5 of its images"):
        np.asarray(split.images)
    with pytest.raises(ValueError, match="resized_crop=0.5.*stream them"):
        memory = data.Split(np.zeros((4, 4, 4, 3), np.uint8), np.zeros(4, np.int32))
        data.training_batches(
            memory, 2, augmentation=data.Augmentation(resized_crop=0.5), seed=0
        )


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"augmentation": "resized_crop"}, "pass --stream=true"),
        ({"stream": "maybe"}, "stream='maybe': expected one of"),
        ({"center_crop": 1.5}, "center_crop=1.5: expected the part of the side"),
        ({"crop_area": 0.0}, "crop_area=0.0: expected the least part"),
    ],
)
def test_options_that_do_not_fit(mixed, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        registry.find(mixed, image_size=8, **options)


def test_arrays_are_not_streamed(tmp_path):
    images = np.zeros((4, 4, 4, 3), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=[0, 1, 0, 1])
    with pytest.raises(ValueError, match="--stream .* is for image files"):
        registry.find(tmp_path / "a.npz", stream=True)


def test_boxes_of_resized_crops():
    sizes = tf.constant([[100, 150]] * 200, tf.int32)
    boxes = resized_crops(sizes, tf.constant([1, 2]), 0.25).numpy()
    top, left, height, width = boxes.T
    assert (boxes >= 0).all()
    assert (top + height <= 100).all() and (left + width <= 150).all()
    # A rounded side is off by half a pixel at most.
    area, shape = height * width / 15000, width / height
    assert area.min() > 0.24 and area.min() < 0.35 and area.max() > 0.75
    assert shape.min() > 0.73 and shape.max() < 1.36
    assert len(np.unique(top)) > 30 and len(np.unique(left)) > 30
    again = resized_crops(sizes, tf.constant([1, 2]), 0.25).numpy()
    np.testing.assert_array_equal(boxes, again)
    assert (boxes != resized_crops(sizes, tf.constant([1, 3]), 0.25)).numpy().any()
    # In so long an image nothing of a shape below 4:3 has a quarter of the area.
    long = resized_crops(tf.constant([[10, 1000]]), tf.constant([0, 0]), 0.25)
    assert long.numpy().tolist() == [[0, 0, 0, 0]]


def _quadrants(side, **options):
    """Contents of an image with red, green, blue and white quarters."""
    pixels = np.zeros((side, side, 3), np.uint8)
    half = side // 2
    pixels[:half, :half, 0] = pixels[:half, half:, 1] = pixels[half:, :half, 2] = 255
    pixels[half:, half:] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **options)
    return file.getvalue()


def test_parts_of_an_image():
    contents = _quadrants(16, format="png")
    right = pictures.cropped(contents, (4, 4, 3), box=(0, 8, 8, 8))
    # The outermost pixels see a little of what is next to the part.
    np.testing.assert_array_equal(right[:-1, 1:], np.full((3, 3, 3), [0, 255, 0]))
    whole = pictures.cropped(contents, (16, 16, 3), box=(0, 0, 16, 16))
    assert whole[15, 0].tolist() == [0, 0, 255]
    # Of the centre an eighth of the side, two pixels, one of each colour.
    centre = pictures.cropped(contents, (2, 2, 3), center_crop=0.125)
    assert centre.tolist() == [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255] * 3]]


def test_a_large_jpeg_is_decoded_small_and_cropped_where_it_should_be(monkeypatch):
    sizes, load = [], Image.Image.convert

    def convert(image, *args, **kwargs):
        sizes.append(image.size)
        return load(image, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "convert", convert)
    exif = Image.Exif()
    exif[0x0112] = 6  # seen turned to the right: blue is above, at the left
    contents = _quadrants(512, format="jpeg", quality=95, exif=exif)
    found = pictures.cropped(contents, (8, 8, 3), box=(16, 16, 224, 224))
    assert sizes[0] == (64, 64)
    assert np.abs(found.astype(int) - [0, 0, 255]).max() < 12
    found = pictures.cropped(contents, (128, 128, 3), box=(16, 272, 224, 224))
    assert sizes[1] == (512, 512)
    assert np.abs(found.astype(int) - [255, 0, 0]).max() < 12
