"""Accuracy under an attack after each epoch."""

import types

import keras
import numpy as np
from small_models import linear_model

from igam_tf import attacks, models
from igam_tf.training.under_attack import UnderAttack


def test_the_logs_get_the_robust_accuracy_of_a_linear_model():
    model, weights, _ = linear_model(shape=(4, 4, 1), seed=2)
    generator = np.random.default_rng(0)
    images = generator.uniform(0.3, 0.7, (40, 4, 4, 1)).astype(np.float32)
    logits = model(images).numpy()
    labels = logits.argmax(axis=1).astype(np.int32)
    labels[:4] = 1 - labels[:4]
    margin = np.abs(logits[:, 0] - logits[:, 1])
    stands = margin > 0.03 * np.abs(weights[:, 0] - weights[:, 1]).sum()
    expected = stands[4:].sum() / 40
    assert 0 < expected < 0.9
    callback = UnderAttack("fgsm@0.03", attacks.fgsm(eps=0.03), images, labels)
    callback.set_model(types.SimpleNamespace(student=model))
    logs = {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    assert logs == {"loss": 1.0, "val_fgsm@0.03_accuracy": expected}


def test_in_half_precision_it_is_that_of_the_table(monkeypatch):
    """At logits this far apart the gradient of the cross entropy is 0 in float16."""
    _, weights, bias = linear_model(shape=(4, 4, 1), seed=2)
    # Of opposite signs: the gradient points the same way where only one class's is 0.
    weights, bias = (
        30 * (w - w[..., ::-1]).astype(np.float32) for w in (weights, bias)
    )
    half = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(dtype="mixed_float16"),
            keras.layers.Dense(2, dtype="mixed_float16"),
        ]
    )
    half.set_weights([weights, bias])
    generator = np.random.default_rng(0)
    images = generator.uniform(0.3, 0.7, (40, 4, 4, 1)).astype(np.float32)
    logits = images.reshape(40, -1) @ weights + bias
    labels = logits.argmax(axis=1).astype(np.int32)
    labels[:4] = 1 - labels[:4]
    margin = np.abs(logits[:, 0] - logits[:, 1])
    assert 17 < np.median(margin) and margin.max() < 87
    stands = margin > 0.03 * np.abs(weights[:, 0] - weights[:, 1]).sum()
    assert 0 < stands[4:].sum() < 36
    made = []
    in_float32 = models.in_float32

    def counted(network):
        made.append(network)
        return in_float32(network)

    monkeypatch.setattr(models, "in_float32", counted)
    callback = UnderAttack("fgsm", attacks.fgsm(eps=0.03), images, labels)
    callback.set_model(types.SimpleNamespace(student=half))
    logs = {}
    callback.on_epoch_end(0, logs)
    assert logs == {"val_fgsm_accuracy": stands[4:].sum() / 40}
    # The weights of the next epoch: the other class at every image.
    half.set_weights([-weights, -bias])
    callback.on_epoch_end(1, logs)
    assert logs == {"val_fgsm_accuracy": stands[:4].sum() / 40}
    assert made == [half]
