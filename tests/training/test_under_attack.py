"""Accuracy under an attack after each epoch."""

import types

import numpy as np
from small_models import linear_model

from igam_tf import attacks
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
