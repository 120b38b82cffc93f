"""What every attack of the masking panel does to every image, kept and played again.

The decisions of the checks can then be changed, and looked at with fewer images,
without running an attack again.
"""

import json

import numpy as np

from igam_tf.evaluation.panel import black_box, gradients, outputs, radius, strength
from igam_tf.evaluation.panel.subject import Subject

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


class Recorder(Subject):
    """A subject that keeps what each attack left standing, by the attack's text."""

    def __init__(self, *args, transferred=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.kept = {}
        self._transferred = slice(transferred)

    def withstands(self, attack, *, source=None, training=None):
        found = super().withstands(attack, source=source, training=training)
        self.kept[_key(attack, source)] = found
        return found

    def attack_rows(self, attack, rows, *, source=None):
        if source is not None:
            rows = rows & self._is_transferred()
        found = super().attack_rows(attack, rows, source=source)
        self.kept[_key(attack, source)] = found
        return found

    def withstands_noise(self, num_draws):
        self.kept["noise"] = super().withstands_noise(num_draws)
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
    subject = Recorder(model, parts, transferred=100, **settings)
    live = [check(subject) for check in LIVE]
    for name, check in ATTACKING.items():
        if name == "transfer":
            if source is not None:
                check(subject, {"other": source})
        elif name != "spsa" or spsa:
            check(subject)
    told = {check.name: check.warns for check in live}
    meta = {"eps": eps, "seed": seed, "shape": images.shape[1:], "live": told}
    return {
        "meta": np.array(json.dumps(meta)),
        "is_correct": subject.is_correct,
        "clean_logits": subject.clean_logits,
        **{f"gradients/{key}": value for key, value in subject.gradients.items()},
        **{f"kept/{key}": value for key, value in subject.kept.items()},
    }


class Replay(Subject):
    """A subject of some of the recorded images; its attacks look up what they did.

    Args:
        recording: what `record` returned.
        rows: slice of the images.
    """

    def __init__(self, recording, rows):
        # Without a model: nothing is computed again.
        meta = json.loads(str(recording["meta"]))
        self.eps, self.norm, self.seed = meta["eps"], "linf", meta["seed"]
        self.training, self.live, self.rows = False, meta["live"], rows
        self.is_correct = self.stands = recording["is_correct"][rows]
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

    def withstands(self, attack, *, source=None, training=None):
        found = self.kept[_key(attack, source)]
        if attack.eps <= self.eps:
            self.stands = self.stands & found
        return found

    def attack_rows(self, attack, rows, *, source=None):
        found = rows & self.kept[_key(attack, source)]
        self.stands = self.stands & (found | ~rows)
        return found

    def withstands_noise(self, num_draws):
        self.stands = self.stands & self.kept["noise"].all(axis=0)
        return self.kept["noise"]


def replayed(recording, rows):
    """Which checks warn of some of the images, and what they say.

    Returns:
        Dict from the name of a check to its `Check`, or to a bool for those that were
        decided when recorded, on all images; checks that were not run are left out.
    """
    subject = Replay(recording, rows)
    found = dict(subject.live)
    stop = rows.stop or len(recording["is_correct"])
    for name, check in ATTACKING.items():
        if name == "transfer":
            if "source/" in "".join(subject.kept) and stop <= 100:
                found[name] = check(subject, {"other": "other"})
        elif name != "spsa" or any(key.startswith("SPSA") for key in subject.kept):
            found[name] = check(subject)
    return found


def _key(attack, source):
    return f"{'source/' if source is not None else ''}{attack!r}"
