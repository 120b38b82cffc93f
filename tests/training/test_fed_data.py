"""Every batch is looked at before it is used, wherever it comes from."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import set_seed

import igam_tf
from igam_tf import distribution, training
from igam_tf.training.callbacks import TrainingDivergedError

IMAGES = np.random.default_rng(0).random((32, 8, 8, 1), np.float32)
LABELS = np.random.default_rng(1).integers(0, 3, 32).astype(np.int32)


def student(seed=0):
    set_seed(seed)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="gelu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


def compiled(replicas=1, rate=0.05, **compile_args):
    strategy = (
        tf.distribute.get_strategy()
        if replicas == 1
        else distribution.strategy("mirrored", devices=replicas)
    )
    with strategy.scope():
        method = training.StandardTraining(student())
        method.compile(keras.optimizers.SGD(rate), **compile_args)
    return method


def data_set(images=IMAGES, labels=LABELS, size=8):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(size)


class Batches(keras.utils.PyDataset):
    def __init__(self, images=IMAGES, labels=LABELS, **kwargs):
        super().__init__(**kwargs)
        self.images, self.labels = images, labels

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        return self.images[rows], self.labels[rows]


def generator(images=IMAGES, labels=LABELS):
    for start in range(0, len(images), 8):
        yield images[start : start + 8], labels[start : start + 8]


def with_value(value, index=20):
    images = IMAGES.copy()
    images[index, 1, 2] = value
    return images


def with_label(value, index=20):
    labels = LABELS.copy()
    labels[index] = value
    return labels


BAD = {
    "nan": (with_value(np.nan), LABELS, "hold 1 NaN"),
    "infinite": (with_value(np.inf), LABELS, "to inf"),
    "grey": (np.concatenate([IMAGES[:16], 255 * IMAGES[16:]]), LABELS, "divide by 255"),
    "negative": (with_value(-1.0), LABELS, "undo the normalisation"),
    "resized": (with_value(1.03), LABELS, "overshoots by so much; clip them"),
    "label": (IMAGES, with_label(3), "labels range from 0 to 3; expected 0 to 2"),
    "mixed": (IMAGES, np.eye(3)[LABELS], "1 of the rows are not exactly one-hot"),
}
BAD["mixed"][1][20] = [0.5, 0.5, 0.0]


@pytest.mark.parametrize("kind", BAD)
def test_a_later_batch_of_a_data_set(kind):
    images, labels, message = BAD[kind]
    method, first_two = compiled(), compiled()
    with pytest.raises(ValueError, match=f"^batch 3 of the data set: .*{message}"):
        method.fit(data_set(images, labels), verbose=0)
    # What came before has been trained on, and nothing else.
    first_two.fit(data_set(images[:16], labels[:16]), verbose=0)
    for a, b in zip(method.get_weights(), first_two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "replicas, compile_args",
    [(2, {}), (2, {"jit_compile": True}), (1, {"jit_compile": True}),
     (1, {"steps_per_execution": 3}), (1, {"run_eagerly": True})],
)  # fmt: skip
def test_in_every_loop(replicas, compile_args):
    method = compiled(replicas, **compile_args)
    method.fit(data_set(), verbose=0)
    with pytest.raises(ValueError, match="^batch 3 of the data set: images hold 1 NaN"):
        method.fit(data_set(with_value(np.nan)), verbose=0)
    assert all(np.isfinite(w).all() for w in method.get_weights())


GREY = 255 * IMAGES


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m: m.fit(GREY, LABELS), "^images range"),
        (lambda m: m.fit(data_set(GREY)), "^batch 1 of the data set"),
        (lambda m: m.fit(Batches(GREY)), "^batch 1 of the PyDataset"),
        (lambda m: m.fit(generator(GREY)), "^batch 1 of the generator"),
        (lambda m: m.fit(IMAGES, LABELS, validation_data=(GREY, LABELS)),
         "^validation_data: images range"),
        (lambda m: m.fit(IMAGES, LABELS, validation_data=data_set(GREY)),
         "^batch 1 of validation_data"),
        (lambda m: m.fit(IMAGES, LABELS, validation_data=Batches(GREY)),
         "^batch 1 of validation_data"),
        (lambda m: m.fit(GREY, LABELS, validation_split=0.5), "^images range"),
        (lambda m: m.evaluate(GREY, LABELS), "^images range"),
        (lambda m: m.evaluate(data_set(GREY)), "^batch 1 of the data set"),
        (lambda m: m.predict(GREY), "^images range"),
        (lambda m: m.predict_on_batch(GREY), "^images range"),
        (lambda m: m.train_on_batch(GREY, LABELS), "^images range"),
        (lambda m: m.test_on_batch(GREY, LABELS), "^images range"),
    ],
)  # fmt: skip
def test_grey_levels_are_refused_before_anything_is_trained(call, message):
    method = compiled()
    before = method.get_weights()
    with pytest.raises(ValueError, match=f"{message}.*divide by 255"):
        call(method)
    for a, b in zip(before, method.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("workers", [1, 2])
def test_later_batches_of_python(workers):
    method = compiled()
    bad = with_value(np.nan)
    for give in (Batches(bad, workers=workers), generator(bad)):
        with pytest.raises(ValueError, match="^batch 3 of the .*: images hold 1 NaN"):
            method.fit(give, shuffle=False, verbose=0)
    with pytest.raises(ValueError, match="^batch 3 of validation_data: images hold 1"):
        method.fit(IMAGES, LABELS, validation_data=data_set(bad), verbose=0)
    with pytest.raises(ValueError, match="^batch 3 of the data set: images hold 1 NaN"):
        method.evaluate(data_set(bad), verbose=0)


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_column_and_one_hot_rows_are_class_numbers(replicas):
    method = compiled(replicas)
    state = [*method.student.variables, *method.optimizer.variables]
    start = [variable.numpy() for variable in state]

    def trained(labels):
        found = []
        for give in (
            (IMAGES, labels),
            (data_set(IMAGES, labels), None),
            (Batches(IMAGES, labels), None),
            (generator(IMAGES, labels), None),
        ):
            for variable, value in zip(state, start, strict=True):
                variable.assign(value)
            history = method.fit(
                *give, batch_size=8 if give[1] is not None else None, shuffle=False,
                verbose=0, validation_data=(IMAGES, labels),
            ).history  # fmt: skip
            found.append((method.student.get_weights(), history["val_accuracy"]))
        return found

    expected = trained(LABELS)
    for weights, accuracy in [*trained(LABELS[:, None]), *trained(np.eye(3)[LABELS])]:
        for a, b in zip(weights, expected[0][0], strict=True):
            np.testing.assert_array_equal(a, b)
        assert accuracy == expected[0][1]


def test_rounding_is_no_fault():
    images = np.where(IMAGES > 0.5, np.float32(1 + 1e-6), np.float32(-1e-6))
    compiled().fit(data_set(images), verbose=0)
    compiled().fit(images, LABELS, verbose=0)


@pytest.mark.parametrize(
    "give, message",
    [
        ((IMAGES,), "without labels"),
        (([IMAGES, IMAGES], LABELS), "list of 2 parts: expected one array"),
        ((IMAGES, LABELS[:5]), "32 images and 5 labels"),
        ((data_set(), LABELS), "y is given beside"),
        ((tf.data.Dataset.zip(data_set(), data_set()),), "expected one array|expected"),
        ((data_set().map(lambda x, y: (x, y, y)),), "sample weights"),
        ((data_set().unbatch(),), "expected rank 4"),
        ((data_set().take(0),), "is empty"),
        (
            (np.zeros((4, 9, 9, 1), np.float32), LABELS[:4]),
            "student takes .None, 8, 8, 1",
        ),
        (("images.npy",), "x is str"),
        ((IMAGES, np.eye(4)[LABELS]), "one-hot rows of 3 columns"),
    ],
)
def test_other_data_is_refused_in_a_sentence(give, message):
    with pytest.raises(ValueError, match=message):
        compiled().fit(*give, verbose=0)


def test_weights_are_refused():
    method = compiled()
    with pytest.raises(ValueError, match="class_weight is given"):
        method.fit(IMAGES, LABELS, class_weight={0: 1.0, 1: 2.0, 2: 1.0})
    with pytest.raises(ValueError, match="sample_weight is given"):
        method.evaluate(IMAGES, LABELS, sample_weight=np.ones(32))
    with pytest.raises(ValueError, match="sample weights"):
        method.train_on_batch(IMAGES, LABELS, sample_weight=np.ones(32))


@pytest.mark.parametrize("count, fine", [(33, False), (34, True), (32, True)])
def test_no_replica_goes_without_images(count, fine):
    images, labels = np.resize(IMAGES, (count, 8, 8, 1)), np.resize(LABELS, count)
    method = compiled(2)
    if fine:
        method.fit(images, labels, batch_size=16, verbose=0)
        method.fit(data_set(images, labels, 16), verbose=0)
    else:
        with pytest.raises(
            ValueError, match="33 images in batches of 16 end in a batch"
        ):
            method.fit(images, labels, batch_size=16, verbose=0)
        with pytest.raises(ValueError, match="epoch 1, batch 3: One of the 2 replicas"):
            method.fit(data_set(images, labels, 16), verbose=0)
        with pytest.raises(ValueError, match="end in a batch of 1"):
            method.train_on_batch(images[:1], labels[:1])
    # Without an update there is nothing that could be NaN.
    assert len(method.predict(images, batch_size=16, verbose=0)) == count
    assert np.isfinite(method.evaluate(images, labels, batch_size=16, verbose=0)[0])
    assert all(np.isfinite(w).all() for w in method.get_weights())


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_a_loss_that_is_not_finite_stops_a_bare_fit(steps_per_execution, tmp_path):
    # The first step leaves weights whose logits overflow.
    method = compiled(rate=1e38, steps_per_execution=steps_per_execution)
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "student.keras")
    with pytest.raises(
        TrainingDivergedError, match="^epoch 1, batch [12]: the .*became"
    ):
        method.fit(data_set(), epochs=3, verbose=0, callbacks=[checkpoint])
    assert not (tmp_path / "student.keras").exists()


def test_keras_may_decide_what_a_nan_does():
    method = compiled(rate=1e38)
    history = method.fit(
        data_set(), epochs=3, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()]
    )
    assert len(history.epoch) == 1


def test_targets_in_a_pair_are_for_methods_that_take_them():
    pairs = data_set().map(lambda x, y: ((x, x), y))
    with pytest.raises(ValueError, match="tuple of 2 parts: expected one array"):
        compiled().fit(pairs, verbose=0)
    method = igam_tf.PAG(student(), None)
    method.compile(keras.optimizers.SGD(0.05))
    targets = np.zeros((32, 3, 8, 8, 1), np.float32)
    bad = with_value(np.nan)
    data = tf.data.Dataset.from_tensor_slices(((bad, targets), LABELS)).batch(8)
    with pytest.raises(ValueError, match="^batch 3 of the data set: images hold 1 NaN"):
        method.fit(data, verbose=0)
