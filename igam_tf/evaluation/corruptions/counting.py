"""Counts the corrupted images that a classifier gets right."""

import collections
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np

from igam_tf.attacks import checks
from igam_tf.attacks.classifier import check_model, num_classes
from igam_tf.attacks.identity import model_digest
from igam_tf.data import check_labels
from igam_tf.evaluation.batches import (
    BATCH_NORM,
    Data,
    by_batch,
    check_max_examples,
    finite_logits,
    num_images,
)
from igam_tf.evaluation.corruptions.making import VERSION
from igam_tf.evaluation.corruptions.names import PAPER, Corruptions
from igam_tf.evaluation.corruptions.sources import Portion, check_images, source_of
from igam_tf.evaluation.outcomes import Digest, packed, unpacked
from igam_tf.evaluation.progress import Progress

#: Of what is kept of an interrupted evaluation, and of the corruptions made here.
CORRUPTIONS_VERSION = (2, VERSION)
_Z_95 = 1.959963984540054


def evaluate_corruptions(
    model: keras.Model,
    data: Data,
    corruptions: str | Sequence[str] | Corruptions = "all",
    *,
    batch_size: int = 128,
    batch_norm: str = "inference",
    seed: int = 0,
    max_examples: int | None = None,
    progress: bool = True,
    state: dict | None = None,
    keep: Callable[[dict], None] | None = None,
) -> dict:
    """Accuracy under common corruptions, for each of them and each severity.

    Args:
        model: Keras model from images (batch, height, width, channels) to logits.
        data: tf.data.Dataset of batches (images, labels), or a pair of arrays, of which
            corrupted images are made; not looked at if there are files of them.
        corruptions: "all", names, or the folder of CIFAR-10-C or CIFAR-100-C; see
            `Corruptions`.
        batch_size: number of images classified at once.
        batch_norm: "inference", or "batch" for the statistics of each batch.
        seed: integer, zero or above, of what is random in the corruptions made here.
        max_examples: number of images of each severity to stop at, or None for all.
        progress: whether to show a progress bar.
        state: what an interrupted evaluation of this model, with the same corruptions,
            batch_size, batch_norm and seed, has passed to `keep`.
        keep: function that is called with what was counted so far, ready for JSON.

    Returns:
        Dict, ready for JSON: "accuracy", the mean over corruptions and severities, with
        "interval_95" over the images; "mean_corruption_error", 1 - accuracy, not
        divided by a baseline's (`relative_corruption_error` does that); "kinds", for
        each corruption its "accuracy" and that at each of "severities"; "left_out",
        those of the paper's fifteen that are missing; "outcomes", one bit for each
        image, corruption and severity, under names such as "fog-3", which
        `igam_tf.evaluation.compare` takes.

    Raises:
        ValueError: if arguments, files or model do not fit, or `state` is that of
            another evaluation.
        FileNotFoundError: if the files are not there.

    Source: Hendrycks & Dietterich, ICLR 2019.
    """
    # Longer than forty lines because of its arguments.
    checks.whole_number("batch_size", batch_size, 1)
    checks.whole_number("seed", seed, 0)
    checks.one_of("batch_norm", batch_norm, BATCH_NORM)
    check_max_examples(max_examples)
    start = time.perf_counter()
    check_model(model)
    asked = Corruptions.parse(corruptions)
    check_corruptions(asked, model)
    source = source_of(asked, data, seed)
    keys = [(kind, severity) for kind in asked.chosen for severity in asked.severities]
    identity = None
    if state is not None or keep is not None:
        settings = (source.told, sorted(keys), batch_size, batch_norm)
        identity = f"{model_digest(model)} {settings}"
    counted = _Counted(keys, source.told, identity, state)
    target = max_examples if asked.folder else num_images(data, max_examples)
    bar = Progress(target, ["under corruptions"], progress)
    for portion in source.portions(batch_size, max_examples):
        if counted.has(portion):
            continue
        _classify(model, portion, counted, batch_size, batch_norm == "batch")
        if keep is not None:
            keep(counted.state())
        bar.update(counted.num_examples, {"under corruptions": counted.accuracy()})
    bar.close()
    counted.check_end()
    if not counted.num_examples:
        raise ValueError("data has no images: expected at least one to corrupt.")
    return {
        **counted.result(asked),
        "source": source.told,
        "seconds": round(time.perf_counter() - start, 3),
    }


def check_corruptions(corruptions: Corruptions, model: keras.Model) -> None:
    """Raises ValueError unless the model takes such images, as far as it says."""
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) == 4:
        check_images(corruptions, shape[1:])


class _Counted:
    """Which images were right under each corruption so far."""

    def __init__(self, keys, told, identity, state):
        self.keys, self._identity = keys, identity
        self._digest = Digest(told)
        self._correct = collections.defaultdict(list)
        self.num_examples, self._before = 0, 0
        if state is not None:
            _check_state(state, identity)
            self._before, self._digest_before = state["num_examples"], state["images"]
            for key in keys:
                bits = unpacked(state["correct"][_name(key)], self._before)
                self._correct[key] = [bits]

    def has(self, portion: Portion) -> bool:
        """Whether an interrupted evaluation has counted a portion; takes note of it.

        Raises:
            ValueError: if it has counted other images.
        """
        portion.describe(self._digest)
        first = self.num_examples
        self.num_examples += len(portion.labels)
        if self.num_examples > self._before:
            if first < self._before:
                raise self._others()
            return False
        if self.num_examples == self._before and (
            self._digest.state != self._digest_before
        ):
            raise self._others()
        return True

    def check_end(self) -> None:
        """Raises ValueError if an interrupted evaluation has counted more images."""
        if self.num_examples < self._before:
            raise self._others()

    def _others(self):
        return ValueError(
            f"the {self._before} corrupted images that an interrupted evaluation has "
            "counted are not the first ones of these: expected the same data, files "
            "and batch_size, and as many images; delete its checkpoint_dir."
        )

    def add(self, key, is_correct):
        self._correct[key].append(is_correct)

    def accuracy(self):
        return float(np.mean([np.mean(self._all(key)) for key in self.keys]))

    def state(self):
        return {
            "fingerprint": self._identity,
            "num_examples": self.num_examples,
            "images": self._digest.state,
            "correct": self._packed(),
        }

    def result(self, asked: Corruptions) -> dict:
        right = np.array([self._all(key) for key in self.keys])
        accuracies = dict(zip(self.keys, right.mean(axis=1).tolist()))
        kinds = {
            kind: {
                "accuracy": float(
                    np.mean([accuracies[kind, s] for s in asked.severities])
                ),
                "severities": {str(s): accuracies[kind, s] for s in asked.severities},
            }
            for kind in asked.chosen
        }
        # Of an image the corruptions are not independent: it is the images that vary.
        of_images = right.mean(axis=0)
        half = (
            _Z_95
            * of_images.std(ddof=min(1, len(of_images) - 1))
            / np.sqrt(len(of_images))
        )
        mean = float(of_images.mean())
        return {
            "accuracy": mean,
            "interval_95": [float(max(0, mean - half)), float(min(1, mean + half))],
            "mean_corruption_error": 1 - mean,
            "num_examples": self.num_examples,
            "severities": list(asked.severities),
            "kinds": kinds,
            "left_out": [kind for kind in PAPER if kind not in kinds],
            "outcomes": {"images": self._digest.state, "correct": self._packed()},
        }

    def _all(self, key):
        return np.concatenate(self._correct[key])

    def _packed(self):
        return {_name(key): packed(self._all(key)) for key in self.keys}


def _check_state(state, identity):
    """Raises ValueError unless a state is that of this very evaluation."""
    if not isinstance(state, dict) or state.get("fingerprint") != identity:
        raise ValueError(
            "state is that of an interrupted evaluation of another model, or of this "
            "one before its weights changed, or with other corruptions, batch_size, "
            "batch_norm or seed, or of an earlier version of this package: expected "
            "what this very evaluation has passed to keep; pass state=None to start "
            "anew."
        )


def _name(key):
    kind, severity = key
    return f"{kind}-{severity}"


def _classify(model, portion, counted, batch_size, training):
    sizes = [
        min(batch_size, len(portion.labels) - start)
        for start in range(0, len(portion.labels), batch_size)
    ]
    for key in counted.keys:
        images = portion.images(*key)
        if key == counted.keys[0]:
            check_labels(portion.labels, num_classes(model, images))

        def call(start, some, what=f"images under {key[0]}"):
            del start
            return finite_logits(model, some, training, what)

        logits = by_batch(
            call, [images], sizes, padded_size=None if training else batch_size
        )
        counted.add(key, logits.argmax(axis=1) == portion.labels)
