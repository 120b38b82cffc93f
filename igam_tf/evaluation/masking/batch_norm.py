"""How much of the robustness comes from batch statistics at test time?"""

import keras

from igam_tf import attacks
from igam_tf.evaluation.masking.check import Check, share
from igam_tf.evaluation.masking.model_under_test import ModelUnderTest
from igam_tf.evaluation.statistics import clearly_more, decision
from igam_tf.models.freezing import leaves

_SHARE = 0.1


def has_batch_norm(model: keras.Model) -> bool:
    """Whether a network has batch normalisation that batch statistics would change."""
    layers = leaves(model) if hasattr(model, "layers") else [model]
    return any(
        isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        for layer in layers
    )


def batch_norm(tested: ModelUnderTest) -> Check:
    """Clean images and PGD-20 in both modes, each attacked in its own.

    The authors of IGAM evaluated batches of 100 in training mode.
    """
    attack = attacks.pgd(step_size=tested.eps / 4, **tested.ball)
    robust, values = {}, {}
    for mode, training in (("inference", False), ("batch", True)):
        right = tested.logits(tested.images, training).argmax(1) == tested.labels
        robust[mode] = tested.robust_under(attack, training=training)
        values[mode] = {"clean": share(right), "pgd20": share(robust[mode])}
    inference, batch = robust["inference"], robust["batch"]
    more = clearly_more(batch, inference, at_least=_SHARE)
    gain = 100 * (values["batch"]["pgd20"] - values["inference"]["pgd20"])
    sentence = (
        f"PGD-20 leaves {values['inference']['pgd20']:.0%} robust with batch norm in "
        f"inference mode and {values['batch']['pgd20']:.0%} with the statistics of "
        f"each batch ({gain:+.0f} points)"
    )
    warns = more and tested.training
    sentence += (
        ": that much of what is reported is due to the batch and not to the weights."
        if warns
        else "."
    )
    return Check(
        name="batch_norm",
        values=values,
        threshold=decision(_SHARE),
        warns=warns,
        sentence=sentence,
        source="the authors' evaluation in training mode (IGAM, CVPR 2020)",
    )
