"""Batches: what a resumed run sees, what augmentation does, what replicas get."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import data
from igam_tf.data import batches
from igam_tf.training import feeding

FULL = data.Augmentation(pad=2, flip=True, noise=8 / 255)
PLAIN = data.Augmentation()


def make_split(count, side=6, channels=3):
    """Random pixels; labels number the images."""
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (count, side, side, channels), np.uint8)
    return data.Split(images, np.arange(count, dtype=np.int32))


def take(dataset, count):
    return [(x.numpy(), y.numpy()) for x, y in dataset.take(count)]


def labels_of(dataset, count=-1):
    return [y.numpy().tolist() for _, y in dataset.take(count)]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for (images, labels), (expected_images, expected_labels) in zip(found, expected):
        np.testing.assert_array_equal(labels, expected_labels)
        np.testing.assert_array_equal(images, expected_images)


def test_resumed_at_an_epoch_sees_the_same_batches():
    split = make_split(23)
    steps = data.steps_per_epoch(split, 5)
    assert steps == 5
    whole = take(data.training_batches(split, 5, augmentation=FULL, seed=7), 6 * steps)
    tf.random.set_seed(99)  # the global seed must not matter
    resumed = data.training_batches(split, 5, augmentation=FULL, seed=7, first_epoch=3)
    assert_same(take(resumed, 3 * steps), whole[3 * steps :])
    once = data.training_batches(
        split, 5, augmentation=FULL, seed=7, first_epoch=4, repeat=False
    )
    assert_same(take(once, -1), whole[4 * steps : 5 * steps])


def test_seeds_and_epochs_differ():
    split = make_split(64)
    kept = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0)):
        dataset = data.training_batches(
            split, 64, augmentation=FULL, seed=seed, first_epoch=epoch, repeat=False
        )
        (batch,) = take(dataset, -1)
        kept.append((batch[1].tolist(), batch[0][np.argsort(batch[1])]))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert kept[i][0] != kept[j][0]
        assert (kept[i][1] != kept[j][1]).mean() > 0.5  # augmented otherwise, too


def test_steps_of_an_epoch_are_augmented_differently():
    images = np.repeat(make_split(1).images, 40, axis=0)
    split = data.Split(images, np.arange(40, dtype=np.int32))
    noise = data.Augmentation(noise=0.1)
    one, two = take(data.training_batches(split, 20, augmentation=noise, seed=0), 2)
    assert (one[0] != two[0]).mean() > 0.5


@pytest.mark.parametrize("count, batch_size", [(23, 5), (20, 5), (3, 8)])
def test_each_image_once_an_epoch(count, batch_size):
    split = make_split(count)
    steps = data.steps_per_epoch(split, batch_size)
    dataset = data.training_batches(split, batch_size, augmentation=FULL, seed=0)
    found = labels_of(dataset, 3 * steps)
    last = count - (steps - 1) * batch_size
    assert [len(b) for b in found] == ([batch_size] * (steps - 1) + [last]) * 3
    for epoch in range(3):
        seen = sum(found[epoch * steps : (epoch + 1) * steps], [])
        assert sorted(seen) == list(range(count))
        assert count < 20 or seen != list(range(count))


def test_specification_and_cardinality():
    split = make_split(23)
    endless = data.training_batches(split, 5, augmentation=FULL, seed=0)
    once = data.training_batches(split, 5, augmentation=FULL, seed=0, repeat=False)
    test = data.evaluation_batches(split, 5)
    for dataset in (endless, once, test):
        images, labels = dataset.element_spec
        assert images == tf.TensorSpec([None, 6, 6, 3], tf.float32)
        assert labels == tf.TensorSpec([None], tf.int32)
        options = dataset.options()
        assert options.experimental_distribute.auto_shard_policy.name == "DATA"
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    assert once.cardinality() == test.cardinality() == 5


def test_without_augmentation_pixels_are_those_of_the_split():
    split = make_split(9)
    for dataset in (
        data.training_batches(split, 4, augmentation=PLAIN, seed=0, repeat=False),
        data.evaluation_batches(split, 4),
    ):
        for images, labels in take(dataset, -1):
            expected = split.images[labels].astype(np.float32) / np.float32(255)
            np.testing.assert_array_equal(images, expected)


def test_float_images_stay_as_they_are():
    images = np.random.default_rng(0).random((5, 4, 4, 1), np.float32)
    split = data.Split(images, np.arange(5, dtype=np.int32))
    ((found, _),) = take(data.evaluation_batches(split, 8), -1)
    np.testing.assert_array_equal(found, images)


def test_evaluation_keeps_order_and_the_last_batch():
    assert labels_of(data.evaluation_batches(make_split(7), 3)) == [
        [0, 1, 2],
        [3, 4, 5],
        [6],
    ]


def numpy_crop(image, row, column, flip, pad):
    """The reference: pad with zeros, cut, mirror."""
    height, width, _ = image.shape
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    crop = padded[row : row + height, column : column + width]
    return crop[:, ::-1] if flip else crop


@pytest.mark.parametrize("pad", [0, 1, 2])
def test_crop_and_flip_against_numpy(pad):
    images = np.random.default_rng(1).integers(1, 256, (40, 5, 7, 3), np.uint8)
    offsets = np.random.default_rng(2).integers(0, 2 * pad + 1, (40, 2)).astype("int32")
    flips = np.random.default_rng(3).random(40) < 0.5
    found = batches.crop_and_flip(tf.constant(images), offsets, flips, pad).numpy()
    expected = [
        numpy_crop(image, *offset, flip, pad)
        for image, offset, flip in zip(images, offsets, flips)
    ]
    np.testing.assert_array_equal(found, expected)


def test_augmentation_draws_every_crop_and_flip():
    """Each image is one of its 50 crops; all come, about equally often."""
    split = make_split(2000, side=5, channels=1)
    dataset = data.training_batches(
        split,
        2000,
        augmentation=data.Augmentation(pad=2, flip=True),
        seed=0,
        repeat=False,
    )
    ((images, labels),) = take(dataset, -1)
    images = np.round(images * 255).astype(np.uint8)
    counts = np.zeros((2, 5, 5), int)
    for image, label in zip(images, labels):
        hits = [
            place
            for place in np.ndindex(2, 5, 5)
            if (numpy_crop(split.images[label], *place[1:], place[0], 2) == image).all()
        ]
        assert len(hits) == 1
        counts[hits[0]] += 1
    assert counts.min() > 15 and counts.max() < 75  # 40 expected
    assert 0.45 < counts[1].sum() / 2000 < 0.55


@pytest.mark.parametrize("flip, pad", [(False, 2), (True, 0)])
def test_crop_or_flip_alone(flip, pad):
    split = make_split(200, side=4)
    augmentation = data.Augmentation(pad=pad, flip=flip)
    ((images, labels),) = take(
        data.training_batches(
            split, 200, augmentation=augmentation, seed=0, repeat=False
        ),
        -1,
    )
    images = np.round(images * 255).astype(np.uint8)
    flips = [0, 1] if flip else [0]
    found = set()
    for image, label in zip(images, labels):
        for place in np.ndindex(2 * pad + 1, 2 * pad + 1):
            for mirrored in flips:
                crop = numpy_crop(split.images[label], *place, mirrored, pad)
                if (crop == image).all():
                    found.add((*place, mirrored))
    assert len(found) == (2 * pad + 1) ** 2 * len(flips)


def test_noise_is_bounded_and_clipped():
    eps = 8 / 255
    levels = np.repeat([0, 128, 255], 20).astype(np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (60, 16, 16, 3))
    split = data.Split(images, np.arange(60, dtype=np.int32))
    augmentation = data.Augmentation(noise=eps)
    ((found, labels),) = take(
        data.training_batches(
            split, 60, augmentation=augmentation, seed=0, repeat=False
        ),
        -1,
    )
    found = found[np.argsort(labels)]
    difference = found - images / np.float32(255)
    assert found.min() >= 0 and found.max() <= 1
    assert np.abs(difference).max() <= eps + 1e-6
    grey = difference[20:40]
    assert abs(grey.mean()) < 0.02 * eps
    assert abs(grey.std() - eps / np.sqrt(3)) < 0.02 * eps  # uniform, not constant
    assert len(np.unique(grey[0, 0, 0])) == 3  # each channel its own
    assert 0.45 < (difference[:20] == 0).mean() < 0.55  # half of black is clipped
    assert 0.45 < (found[40:] == 1).mean() < 0.55


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"batch_size": 0}, "batch_size=0: expected a whole number, 1 or more"),
        ({"batch_size": 2.0}, "batch_size=2.0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": None}, "seed=None"),
        ({"first_epoch": -1}, "first_epoch=-1: expected a whole number, 0 or more"),
    ],
)
def test_bad_arguments(arguments, message):
    arguments = {"batch_size": 2, "augmentation": PLAIN, "seed": 0} | arguments
    with pytest.raises(ValueError, match=message):
        data.training_batches(make_split(4), **arguments)


def test_load_reshuffles_and_knows_its_length():
    train, test = data.load("digits", batch_size=100, train_examples=250)
    assert (len(train), len(test)) == (3, 6)
    expected = np.bincount(
        data.read("digits", train_examples=250).train.labels, minlength=10
    )
    epochs = [np.concatenate([y for _, y in train]) for _ in range(3)]
    for labels in epochs:
        np.testing.assert_array_equal(np.bincount(labels, minlength=10), expected)
    assert (epochs[0] != epochs[1]).any() and (epochs[1] != epochs[2]).any()


def test_load_augments_each_iteration_anew():
    split = make_split(30)
    dataset = batches.reshuffled_batches(split, 30, augmentation=FULL, seed=0)
    ((one, one_labels),), ((two, two_labels),) = take(dataset, -1), take(dataset, -1)
    one, two = one[np.argsort(one_labels)], two[np.argsort(two_labels)]
    assert (one != two).mean() > 0.5


class Recorder(keras.Model):
    """Notes the labels that `fit` hands to the train step."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, images):
        return images

    def train_step(self, data):
        self.seen.append(data[1].numpy().tolist())
        return {"loss": 0.0}


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_fit_sees_the_epochs_of_the_data_set():
    split = make_split(11)
    dataset = data.training_batches(split, 4, augmentation=PLAIN, seed=5)
    expected = labels_of(dataset, 9)
    whole, resumed, notebook = Recorder(), Recorder(), Recorder()
    for model in (whole, resumed, notebook):
        model.compile(run_eagerly=True)
    whole.fit(dataset, epochs=3, steps_per_epoch=3, verbose=0)
    assert whole.seen == expected
    later = data.training_batches(split, 4, augmentation=PLAIN, seed=5, first_epoch=1)
    resumed.fit(later, initial_epoch=1, epochs=3, steps_per_epoch=3, verbose=0)
    assert resumed.seen == expected[3:]
    loaded = batches.reshuffled_batches(split, 4, augmentation=PLAIN, seed=5)
    notebook.fit(loaded, epochs=2, verbose=0)
    assert len(notebook.seen) == 6
    assert notebook.seen[:3] != notebook.seen[3:]
    for epoch in (notebook.seen[:3], notebook.seen[3:]):
        assert sorted(sum(epoch, [])) == list(range(11))


def test_two_replicas_share_each_batch():
    """Also at the end of an epoch: a short batch is not filled with the next epoch."""
    split = make_split(21)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for dataset in (
        data.training_batches(split, 8, augmentation=FULL, seed=3),
        data.evaluation_batches(split, 8),
    ):
        expected = take(dataset, 6)
        iterator = iter(strategy.experimental_distribute_dataset(dataset))
        found = []
        for _ in expected:
            images, labels = map(strategy.experimental_local_results, next(iterator))
            assert len(labels) == 2 and abs(len(labels[0]) - len(labels[1])) <= 1
            found.append((np.concatenate(images), np.concatenate(labels)))
        assert_same(found, expected)


def test_two_replicas_reshuffle_what_load_returns():
    dataset = batches.reshuffled_batches(make_split(21), 8, augmentation=PLAIN, seed=3)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    distributed = strategy.experimental_distribute_dataset(dataset)
    epochs = []
    for _ in range(2):
        parts = [strategy.experimental_local_results(y) for _, y in distributed]
        assert len(parts) == 3
        epochs.append(np.concatenate(sum(parts, ())).tolist())
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(21))
    assert epochs[0] != epochs[1]


def test_images_are_captured_once_and_never_a_constant_of_a_graph():
    split = make_split(50)
    first = batches._on_host(split)[0]
    dataset = data.training_batches(split, 8, augmentation=FULL, seed=0)
    assert batches._on_host(split)[0] is first
    assert first.dtype == tf.uint8

    def functions(dataset):
        for parent in dataset._inputs():
            yield from functions(parent)
        if hasattr(dataset, "_map_func"):
            yield dataset._map_func.function

    found = list(functions(dataset))
    assert any(t is first for f in found for t in f.captured_inputs)
    for function in found:
        for operation in function.graph.get_operations():
            if operation.type == "Const":
                assert operation.get_attr("value").ByteSize() < 1000


def test_no_iterator_waits_for_the_tuning_thread():
    """To let go of one would take up to a minute otherwise (TensorFlow 2.21)."""
    split = make_split(8)
    own = [
        data.training_batches(split, 4, augmentation=PLAIN, seed=0),
        data.evaluation_batches(split, 4),
    ]
    expected = feeding.Expected(image_shape=(6, 6, 3), num_classes=8)
    given = tf.data.Dataset.from_tensor_slices(next(iter(own[1]))).batch(4)
    given = given.map(lambda *batch: batch, num_parallel_calls=tf.data.AUTOTUNE)
    fed, _ = feeding.checked(given, None, expected)
    for dataset in (*own, fed):
        assert dataset.options().autotune.enabled is False
