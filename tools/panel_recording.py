"""What every attack of the masking panel does to every image, kept and played again.

The decisions of the checks can then be changed, and looked at with fewer images,
without running an attack again.
"""

import json

import numpy as np

from igam_tf.evaluation.masking import black_box, gradients, outputs, radius, strength
from igam_tf.evaluation.masking.model_under_test import ModelUnderTest

LIVE = (outputs.logits, outputs.randomized, outputs.batch_dependent)
ATTACKING = {
    "vanishing_gradients": gradients.vanishing,
    "pgd_steps": strength.steps,
    "starting_point": strength.starting_point,
    "loss_function": strength.loss,
    "eps_sweep": radius.radius,
    "noise": black_box.noise,
    "square": black_box.square,
    "transfer": black_box.transfer,
    "local_linearity": gradients.linearity,
    "spsa": black_box.spsa,
}
# SPSA looks only where another check has warned; transfer only where there is a source.
CHECKS = [check.__name__ for check in LIVE] + list(ATTACKING)


class Recorder(ModelUnderTest):
    """A model under test that keeps what is robust to each attack, by its text."""

    def __init__(self, *args, transferred=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.kept = {}
        self._transferred = slice(transferred)

    def robust_under(self, attack, *, source=None, training=None):
        found = super().robust_under(attack, source=source, training=training)
        self.kept[_key(attack, source)] = found
        return found

    def attack_rows(self, attack, rows, *, source=None):
        if source is not None:
            rows = rows & self._is_transferred()
        found = super().attack_rows(attack, rows, source=source)
        self.kept[_key(attack, source)] = found
        return found

    def robust_under_noise(self, num_draws):
        self.kept["noise"] = super().robust_under_noise(num_draws)
        return self.kept["noise"]

    def _is_transferred(self):
        chosen = np.zeros(len(self), bool)
        chosen[self._transferred] = True
        return chosen


def record(model, images, labels, *, eps, seed, batch_size, source=None, spsa=False):
    """Runs all checks of the panel and keeps what they were decided on.

    Args:
        model: Keras model.
        images: float32 array (n, height, width, channels).
        labels: int32 array (n,).
        eps: radius of the Linf ball.
        seed: seed of the panel.
        batch_size: number of images attacked at once.
        source: model to transfer from, or None; the first 100 images only.
        spsa: whether to run SPSA, which the panel does where another check warns.

    Returns:
        Dict of arrays, for `np.savez`.
    """
    starts = range(0, len(images), batch_size)
    parts = [(images[i : i + batch_size], labels[i : i + batch_size]) for i in starts]
    settings = {"eps": eps, "norm": "linf", "training": False, "seed": seed}
    tested = Recorder(model, parts, transferred=100, **settings)
    live = [check(tested) for check in LIVE]
    for name, check in ATTACKING.items():
        if name == "transfer":
            if source is not None:
                check(tested, {"other": source})
        elif name != "spsa" or spsa:
            check(tested)
    told = {check.name: check.warns for check in live}
    meta = {"eps": eps, "seed": seed, "shape": images.shape[1:], "live": told}
    return {
        "meta": np.array(json.dumps(meta)),
        "is_correct": tested.is_correct,
        "clean_logits": tested.clean_logits,
        **{f"gradients/{key}": value for key, value in tested.gradients.items()},
        **{f"kept/{key}": value for key, value in tested.kept.items()},
    }


class Replay(ModelUnderTest):
    """Some of the recorded images; its attacks look up what they did.

    Args:
        recording: what `record` returned.
        rows: slice of the images.
    """

    def __init__(self, recording, rows):
        # Without a model: nothing is computed again.
        meta = json.loads(str(recording["meta"]))
        self.eps, self.norm, self.seed = meta["eps"], "linf", meta["seed"]
        self.training, self.live, self.rows = False, meta["live"], rows
        self.is_correct = self.is_robust = recording["is_correct"][rows]
        self.labels = np.zeros(len(self.is_correct), np.int32)
        self.images = np.zeros((len(self), *meta["shape"]), np.float32)
        self.clean_logits = recording["clean_logits"][rows]
        self.kept, self.found = {}, {}
        for key, value in recording.items():
            kind, _, name = key.partition("/")
            if kind == "kept":
                self.kept[name] = value[..., rows]
            elif kind == "gradients":
                self.found[name] = value[rows]

    @property
    def gradients(self):
        return self.found

    def robust_under(self, attack, *, source=None, training=None):
        found = self.kept[_key(attack, source)]
        if attack.eps <= self.eps:
            self.is_robust = self.is_robust & found
        return found

    def attack_rows(self, attack, rows, *, source=None):
        found = rows & self.kept[_key(attack, source)]
        self.is_robust = self.is_robust & (found | ~rows)
        return found

    def robust_under_noise(self, num_draws):
        self.is_robust = self.is_robust & self.kept["noise"].all(axis=0)
        return self.kept["noise"]


def replayed(recording, rows):
    """Which checks warn of some of the images, and what they say.

    Returns:
        Dict from the name of a check to its `Check`, or to a bool for those that were
        decided when recorded, on all images; checks that were not run are left out.
    """
    tested = Replay(recording, rows)
    found = dict(tested.live)
    stop = rows.stop or len(recording["is_correct"])
    for name, check in ATTACKING.items():
        if name == "transfer":
            if "source/" in "".join(tested.kept) and stop <= 100:
                found[name] = check(tested, {"other": "other"})
        elif name != "spsa" or any(key.startswith("SPSA") for key in tested.kept):
            found[name] = check(tested)
    return found


def _key(attack, source):
    return f"{'source/' if source is not None else ''}{attack!r}"
