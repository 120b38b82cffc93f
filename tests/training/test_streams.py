"""No two purposes share a stream of random numbers; noise goes with its image."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import attacks, data, models, streams, training, transforms
from igam_tf.training import pag_targets


@pytest.fixture
def drawn(monkeypatch):
    """Seeds of all draws of TensorFlow, with the place in our code that asked."""
    import traceback

    found = []
    for name in ("stateless_uniform", "stateless_normal"):
        original = getattr(tf.random, name)

        def spy(shape, seed, *args, _original=original, **kwargs):
            frames = [f for f in traceback.extract_stack() if "igam_tf" in f.filename]
            found.append((tuple(np.asarray(seed).ravel()), frames[-1].lineno, kwargs))
            return _original(shape, seed, *args, **kwargs)

        monkeypatch.setattr(tf.random, name, spy)
    return found


def _student():
    return models.small_cnn(
        num_classes=3, image_shape=(8, 8, 1), filters=(4,), hidden_units=4
    )


def _padded(model):
    inputs = keras.Input((6, 6, 1))
    transform = transforms.input_transform("random_pad", (6, 6, 1), (8, 8, 1))
    return keras.Model(inputs, model(transform(inputs)))


def _noisy_targets():
    network = models.score_network(num_classes=3, image_shape=(6, 6, 1), filters=(4,))
    return pag_targets.make("sbg", None, 3, score_network=network)


METHODS = {
    "standard": training.StandardTraining,
    "edges": training.EdgeReg,
    "gradient_norm": training.GradNorm,
    "kdiga": lambda s, **kwargs: training.KDIGA(s, _padded(_student()), **kwargs),
    "igdm": lambda s, **kwargs: training.IGDM(s, _padded(_student()), **kwargs),
    "pag": lambda s, **kwargs: training.PAG(
        s, lambda x, y: tf.repeat(x[:, None], 3, axis=1), classes=2,
        augmentation=data.Augmentation(pad=1, flip=True, noise=0.1), **kwargs,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_no_two_purposes_of_a_method_share_a_stream(name, drawn):
    attack = attacks.pgd(eps=0.1, num_steps=1)
    method = METHODS[name](_padded(_student()), attack=attack)
    method.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    images = tf.constant(np.random.default_rng(0).random((4, 6, 6, 1)), tf.float32)
    seen = {}
    for step in range(3):
        drawn.clear()
        seed = method.step_seed(tf.constant(step))
        with transforms.random_offsets(seed):
            method.prepare(images, tf.constant([0, 1, 2, 0]), phase="train", seed=seed)
        # Rows, columns, attack; what the method draws itself.
        seeds = {seed for seed, _, _ in drawn}
        assert len(seeds) == {"edges": 4, "pag": 7}.get(name, 3)
        assert not seeds & set(seen)
        seen.update(dict.fromkeys(seeds, step))


def test_what_distorts_and_mixes_shares_no_stream_either(drawn):
    method = training.StandardTraining(
        _student(),
        distortions=training.Distortions(
            rand_augment=9, color_jitter=0.4, random_erasing=0.25
        ),
        soft_labels=training.SoftLabels(mixup=0.8, cutmix=1.0),
        attack=attacks.pgd(eps=0.1, num_steps=1),
    )
    method.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    images, labels = tf.zeros([4, 8, 8, 1]), tf.constant([0, 1, 2, 0])
    seeds = []
    for step in range(2):
        drawn.clear()
        seed = method.step_seed(tf.constant(step))
        method.augmented(images, labels, seed)
        method.prepare(images, labels, phase="train", seed=seed)
        seeds += [seed for seed, _, _ in drawn]
    assert len(seeds) > 60
    assert len(set(seeds)) == len(seeds)


def test_offsets_of_rows_are_not_those_of_columns_a_step_later():
    transform = transforms.input_transform("random_pad", (4, 4, 1), (12, 12, 1))
    images = tf.ones([64, 4, 4, 1])
    rows, columns = [], []
    for step in range(4):
        with transforms.random_offsets(tf.constant([0, step])):
            padded = transform(images).numpy()
        rows.append(padded.any(axis=(2, 3)).argmax(axis=1))
        columns.append(padded.any(axis=(1, 3)).argmax(axis=1))
    for step in range(3):
        # Nine places: independent draws agree one time in nine.
        assert (columns[step] == rows[step + 1]).mean() < 0.5
        assert (columns[step] == rows[step]).mean() < 0.5


def test_purposes_and_seeds():
    purposes = list(streams.Purpose)
    assert len({p.value for p in purposes}) == len(purposes)
    seeds = [[0, 0], [0, 1], [1, 0], [1, 1]]
    found = {
        tuple(streams.seed_of(tf.constant(seed), p).numpy())
        for seed in seeds
        for p in purposes
    }
    assert len(found) == len(seeds) * len(purposes)


def test_noise_of_score_based_targets_goes_with_the_image():
    targets = _noisy_targets()
    images = np.random.default_rng(0).random((6, 6, 6, 1)).astype("float32")
    labels = np.zeros(6, "int32")
    order = np.array([3, 1, 5, 0, 2, 4])
    whole = targets(tf.constant(images), labels).numpy()
    mixed = targets(tf.constant(images[order]), labels).numpy()
    np.testing.assert_allclose(mixed, whole[order], rtol=1e-4, atol=1e-5)
    part = targets(tf.constant(images[2:4]), labels[:2]).numpy()
    np.testing.assert_allclose(part, whole[2:4], rtol=1e-4, atol=1e-5)


def test_seeds_of_images():
    images = np.random.default_rng(0).random((5, 4, 4, 3)).astype("float32")
    moved = images[:, ::-1]
    found = np.concatenate(
        [
            streams.seeds_of_images(0, tf.constant(np.concatenate([images, moved]))),
            streams.seeds_of_images(1, tf.constant(images)),
        ]
    )
    assert len({tuple(row) for row in found}) == 15
    signed = tf.constant([[[[0.0]]], [[[-0.0]]]])
    first, second = streams.seeds_of_images(0, signed).numpy()
    np.testing.assert_array_equal(first, second)
