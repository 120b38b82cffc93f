"""Target gradients by hand, their cache, and the denoiser of the score-based ones."""

import json
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import set_seed

from igam_tf import data, distribution, models, training
from igam_tf.training import pag_targets


@pytest.fixture(scope="module")
def split():
    """30 images of 3 classes, uint8, every pixel different."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 4, 4, 2)).astype(np.uint8)
    return data.Split(images, (np.arange(30) % 3).astype(np.int32))


def _batch(split, size=8):
    return next(iter(data.evaluation_batches(split, size)))


def test_one_image(split):
    images, labels = _batch(split)
    found = pag_targets.make("oi", split, 3, seed=1)(images, labels).numpy()
    # One and the same image of the class for all.
    ends = found + images.numpy()[:, None]
    for t in range(3):
        np.testing.assert_allclose(ends[:, t], ends[:1, t].repeat(8, 0), atol=1e-6)
        own = split.images[split.labels == t] / np.float32(255)
        assert np.isclose(own, ends[0, t], atol=1e-6).all(axis=(1, 2, 3)).any()


def test_class_mean(split):
    images, labels = _batch(split)
    found = pag_targets.make("cm", split, 3)(images, labels).numpy()
    for t in range(3):
        mean = (split.images[split.labels == t] / 255.0).mean(axis=0)
        np.testing.assert_allclose(found[:, t], mean - images.numpy(), atol=1e-6)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_nearest_neighbour_that_is_not_the_image_itself(split, mode):
    images, labels = _batch(split)
    targets = pag_targets.make("nn", split, 3, per_class=10)
    if mode != "eager":
        targets = tf.function(targets, jit_compile=mode == "xla")
    found = targets(images, labels).numpy()
    for i, image in enumerate(images.numpy()):
        for t in range(3):
            steps = split.images[split.labels == t] / np.float32(255) - image
            squares = np.square(steps).sum(axis=(1, 2, 3))
            squares[squares == 0] = np.inf
            np.testing.assert_allclose(found[i, t], steps[squares.argmin()], atol=1e-6)
    assert np.abs(found).max(axis=(2, 3, 4)).min() > 0


def test_nearest_neighbour_searches_a_limited_set(split):
    images, labels = _batch(split)
    targets = pag_targets.NearestNeighbor(split, 3, per_class=2)
    assert targets.images.shape == (3, 2, 4, 4, 2)
    ends = targets(images, labels) + images[:, None]
    gap = tf.reduce_max(tf.abs(ends[:, :, None] - targets.images[None]), [3, 4, 5])
    np.testing.assert_allclose(tf.reduce_min(gap, 2), 0, atol=1e-6)
    with pytest.raises(ValueError, match="per_class=1"):
        pag_targets.NearestNeighbor(split, 3, per_class=1)


def test_a_class_without_images(split):
    for name in ("oi", "cm", "nn"):
        with pytest.raises(ValueError, match="class 3 has 0 images"):
            pag_targets.make(name, split, 4)
    with pytest.raises(ValueError, match="targets='mean'"):
        pag_targets.make("mean", split, 3)


class _Gaussians:
    """The exact denoiser of classes N(t / 4, s^2), and of N(0.3, s^2) for no class."""

    inputs = (None,) * 3
    means, variance = tf.constant([0.0, 0.25, 0.5, 0.3]), 0.04

    def __call__(self, inputs, training):
        assert not training
        noisy, classes, sigmas = inputs
        mean = tf.gather(self.means, classes)[:, None, None, None]
        noise = tf.square(sigmas)[:, None, None, None]
        return (self.variance * noisy + noise * mean) / (self.variance + noise)

    def get_weights(self):
        return [self.means.numpy()]


def test_scores_of_gaussians(split):
    images, labels = _batch(split)
    targets = pag_targets.ScoreBased(_Gaussians(), 3, sigma=0.3, num_draws=2)
    found = targets(images, labels)
    assert found.shape == (8, 3, 4, 4, 2)
    # (mean_t - mean) / (s^2 + sigma^2), whatever the noise.
    for t, mean in enumerate([0.0, 0.25, 0.5]):
        np.testing.assert_allclose(found[:, t], (mean - 0.3) / (0.04 + 0.09), rtol=1e-3)


class _SeesImages(_Gaussians):
    """As above, for fifty classes; its output depends on the noise. Counts images."""

    seen = 0

    def __call__(self, inputs, training):
        noisy, classes, _ = inputs
        self.seen += len(noisy) if tf.executing_eagerly() else 0
        return noisy * tf.cast(1 + classes, tf.float32)[:, None, None, None]


@pytest.mark.parametrize("name", ["oi", "cm", "nn", "sbg"])
def test_targets_of_some_classes_are_those_among_all(split, name, tmp_path):
    images, labels = _batch(split)
    network = _SeesImages()
    number = 50 if name == "sbg" else 3
    targets = pag_targets.make(name, split, number, score_network=network, per_class=9)
    drawn = np.random.default_rng(1).permuted(
        np.tile(np.arange(number, dtype=np.int32), (8, 1)), axis=1
    )[:, :2]
    some = targets.of_classes(images, labels, tf.constant(drawn)).numpy()
    # One pass for each class drawn, and one for none: nothing for the other classes.
    assert network.seen == (8 * 3 if name == "sbg" else 0)
    every = targets(images, labels).numpy()
    np.testing.assert_array_equal(some, np.stack([e[d] for e, d in zip(every, drawn)]))
    # And in steps those that a file would have, up to its last bit.
    stored = pag_targets.cached(targets, split, tmp_path / "targets.npy", batch_size=8)
    stored = np.stack([e[d] for e, d in zip(stored, drawn)]).astype(np.float32)
    steps = pag_targets.InSteps(targets).of_classes(images, labels, tf.constant(drawn))
    assert steps.dtype == tf.float32
    np.testing.assert_allclose(steps, stored, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("arguments, message", [
    ({"network": None}, "score network None"), ({"sigma": 0.0}, "sigma=0.0"),
    ({"num_draws": 0}, "num_draws=0"),
])  # fmt: skip
def test_bad_score_based_targets(arguments, message):
    with pytest.raises(ValueError, match=message):
        pag_targets.ScoreBased(
            **{"network": _Gaussians(), "num_classes": 3, **arguments}
        )


def test_cache_is_written_once_and_read_after(split, tmp_path):
    path = tmp_path / "deep" / "targets.npy"
    made = pag_targets.make("nn", split, 3, per_class=10)
    found = pag_targets.cached(made, split, path, batch_size=7)
    images, labels = _batch(split, 30)
    expected = made(images, labels).numpy()
    expected /= np.sqrt(np.square(expected).mean(axis=(2, 3, 4), keepdims=True))
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "targets.npy", "targets.npy.json"
    ]  # fmt: skip
    stamp = path.stat().st_mtime_ns
    np.testing.assert_array_equal(pag_targets.cached(made, split, path), found)
    assert path.stat().st_mtime_ns == stamp
    other = pag_targets.make("nn", split, 3, per_class=5)
    with pytest.raises(ValueError, match="per_class=10"):
        pag_targets.cached(other, split, path)
    moved = data.Split(split.images[::-1], split.labels)
    with pytest.raises(ValueError, match="checksum"):
        pag_targets.cached(made, moved, path)


def test_an_interrupted_cache_is_written_anew(split, tmp_path, monkeypatch):
    path = tmp_path / "targets.npy"
    made = pag_targets.make("cm", split, 3)

    def fails(source, target):
        raise OSError("out of power")

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr("os.replace", fails)
        pag_targets.cached(pag_targets.make("oi", split, 3), split, path)
    assert not path.exists()
    assert pag_targets.cached(made, split, path).shape == (30, 3, 4, 4, 2)
    assert json.loads((tmp_path / "targets.npy.json").read_text())["targets"] == (
        "ClassMean()"
    )


def test_batches_are_those_of_training_batches_with_their_targets(split):
    targets = np.arange(30, dtype=np.float16).reshape(30, 1, 1, 1, 1)
    settings = {"seed": 4, "first_epoch": 2, "repeat": False}
    none = data.Augmentation()
    plain = data.training_batches(split, 8, augmentation=none, **settings)
    floats = split.images / np.float32(255)
    for (images, labels), ((found, given), same) in zip(
        plain, pag_targets.batches(targets, split, 8, **settings), strict=True
    ):
        np.testing.assert_array_equal(images, found)
        np.testing.assert_array_equal(labels, same)
        places = given.numpy().reshape(-1).astype(int)
        np.testing.assert_array_equal(floats[places], found)
    with pytest.raises(ValueError, match="29 targets for 30 images"):
        pag_targets.batches(targets[1:], split, 8, seed=0)


@pytest.fixture(scope="module")
def denoiser():
    """A small denoiser of the digits, and the digits."""
    set_seed(0)
    task = data.read("digits", train_examples=1000, test_examples=100)
    network = models.score_network(
        num_classes=10, image_shape=(8, 8, 1), filters=(16, 16), embedding_units=32
    )
    history = []
    training.train_score_network(
        task.train, num_classes=10, network=network, sigma=(0.1, 0.6), epochs=15,
        batch_size=50, learning_rate=3e-3, verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: history.append(logs["loss"]))],
    )  # fmt: skip
    return network, task, history


def test_the_denoiser_denoises_and_knows_classes(denoiser, tmp_path):
    network, task, history = denoiser
    assert history[-1] < 0.6 * history[0]
    images, labels = task.test.images, task.test.labels
    noise = np.random.default_rng(0).normal(size=images.shape).astype("float32")
    sigmas = np.full(100, 0.4, "float32")

    def errors(classes):
        denoised = network([images + 0.4 * noise, classes.astype("int32"), sigmas])
        return np.square(denoised - images).mean(axis=(1, 2, 3))

    own, none = errors(labels), errors(np.full(100, 10))
    other = errors((labels + 3) % 10)
    assert own.mean() < none.mean() < 0.5 * 0.16
    # 0.82 to 0.85 with other seeds; chance is a half, and 0 if classes are not heard.
    assert (own < other).mean() > 0.65
    network.save(tmp_path / "score.keras")
    loaded = keras.models.load_model(tmp_path / "score.keras")
    inputs = [images, labels, sigmas]
    np.testing.assert_allclose(loaded(inputs), network(inputs), atol=1e-6)


def test_score_based_targets_lead_to_their_class(denoiser):
    network, task, _ = denoiser
    images, labels = tf.constant(task.test.images), task.test.labels
    targets = pag_targets.make(
        "sbg", task.train, 10, score_network=network, sigma=0.4, num_draws=4
    )
    found = targets(images, labels).numpy()
    np.testing.assert_array_equal(targets(images, labels), found)
    means = [task.train.images[task.train.labels == t].mean(axis=0) for t in range(10)]
    # The score of class t agrees most with the way to the mean of class t.
    ways = np.stack(means) - np.mean(means, axis=0)
    agreement = np.einsum("bthwc,khwc->tk", found, ways)
    # Eight of ten with other seeds; chance is one.
    assert (agreement.argmax(axis=1) == np.arange(10)).sum() >= 5
    assert "weights=" in repr(targets)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_score_based_targets_on_two_replicas(precision):
    digits = data.read("digits", train_examples=40, test_examples=40).train
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        with distribution.strategy("mirrored", devices=2).scope():
            network = models.score_network(
                num_classes=10, image_shape=(8, 8, 1), filters=(4,)
            )
            last = network.get_layer("last")
            last.kernel.assign(keras.random.normal(last.kernel.shape))
            student = models.small_cnn(filters=(4,), hidden_units=4)
            targets = pag_targets.ScoreBased(network, 10)
            method = training.PAG(student, targets, classes=2)
            method.compile(keras.optimizers.SGD(0.01))
        rows = data.evaluation_batches(digits, 16)
        history = method.fit(rows, verbose=0).history
    finally:
        keras.config.set_dtype_policy(policy)
    assert all(np.isfinite(values).all() for values in history.values())
    assert history["gradient_cosine"][0] != 0


@pytest.mark.parametrize("arguments", [
    {"sigma": (0.5, 0.1)}, {"sigma": 0.0}, {"label_dropout": 0.0},
    {"label_dropout": 1.0},
])  # fmt: skip
def test_bad_training_of_the_denoiser(split, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        training.train_score_network(split, num_classes=3, **arguments)


def test_score_network_of_sizes_that_cannot_be_halved():
    with pytest.raises(ValueError, match="halve both sides 2 times"):
        models.score_network(num_classes=3, image_shape=(30, 32, 3))


def test_a_score_network_is_seeded(monkeypatch):
    """Whatever was drawn before: two runs of one seed have the same targets."""
    from igam_tf.training import pag_alignment

    drawn = []

    def train(*args, **kwargs):
        del args, kwargs
        drawn.append(keras.initializers.HeNormal()((4,)).numpy())

    monkeypatch.setattr(pag_alignment, "train_score_network", train)
    run = types.SimpleNamespace(
        folder=types.SimpleNamespace(
            is_finished=lambda name: False,
            save_model=lambda network, name: None,
            load_model=lambda name, strategy: None,
        ),
        strategy=tf.distribute.get_strategy(),
        target=types.SimpleNamespace(train=None, num_classes=2),
    )
    settings = types.SimpleNamespace(score_model=None, score_epochs=1)
    for seed in (1, 1, 2):
        pag_alignment._score_network(settings, run, seed, in_steps=True)
        keras.initializers.HeNormal()((3,))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).all()
