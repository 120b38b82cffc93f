"""Counting, batch after batch, the images that are robust under each attack."""

import collections
import contextlib
import time
from collections.abc import Iterable

import keras
import numpy as np

from igam_tf.attacks import (
    Attack,
    AutoAttack,
    GraphAttack,
    MinimumNormAttack,
    TargetedPGD,
)
from igam_tf.attacks.classifier import num_classes, takes_any_batch
from igam_tf.attacks.engine.batching import padded, parts
from igam_tf.attacks.stepwise import StepwiseAttack
from igam_tf.data import check_labels
from igam_tf.evaluation.batches import by_batch, fingerprints, finite_logits
from igam_tf.evaluation.class_pairs import added, class_pairs
from igam_tf.evaluation.curve import packed_distances, summary, unpacked_distances
from igam_tf.evaluation.outcomes import Digest, packed, unpacked
from igam_tf.evaluation.statistics import proportion

# Another number with every change of what is kept of an unfinished evaluation.
STATE_VERSION = 2
#: Counted always, whatever the attacks: right on clean images, right under everything.
_CLEAN, _WORST = "clean images", "worst case"


class Counter:
    """Attacks portions of the data and counts; of a portion, one bit an image is kept.

    Args:
        model: Keras model from images to logits.
        attacks: dict from name to attack (None for clean images).
        training: bool, the mode in which the model is attacked and classifies.
        batch_size: number of images attacked at once; a portion may have more. In
            training mode a portion is one batch.
        outside: names of attacks in another ball than that of the evaluation; they do
            not count for the worst case.
        misclassified: `batches.fingerprints` of images that are known to be not robust
            by other means; they count for the worst case only.

    Attributes:
        num_examples: number of images seen.
    """

    def __init__(
        self,
        model: keras.Model,
        attacks: dict[str, Attack | None],
        *,
        training: bool,
        batch_size: int,
        outside: Iterable[str] = (),
        misclassified: Iterable[str] = (),
    ) -> None:
        self.model, self.attacks = model, attacks
        self.training, self.batch_size = training, batch_size
        self.num_examples = 0
        self._outside = frozenset(outside)
        self._misclassified = frozenset(misclassified)
        self._correct: dict[str, list] = collections.defaultdict(list)
        self._distances: dict[str, list] = collections.defaultdict(list)
        self._digest = Digest()
        self._seconds: collections.Counter = collections.Counter()
        self._details: dict[str, dict] = {}

    def add(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Attacks and counts a portion."""
        check_labels(labels, num_classes(self.model, images))
        with self._timed("clean"):
            clean = self._is_correct(images, labels, "clean images")
        worst = clean & ~self._is_known(images, labels)
        for name, attack in self.attacks.items():
            robust = clean
            if isinstance(attack, MinimumNormAttack):
                with self._timed(name):
                    robust = self._beyond(name, images, labels, clean)
            elif attack is not None:
                with self._timed(name):
                    adversarial = self._attacked(name, images, labels, clean)
                    what = f"the images of {name}"
                    robust = clean & self._is_correct(adversarial, labels, what)
            if name not in self._outside:
                worst = worst & robust
            self._correct[name].append(robust)
        self._correct[_CLEAN].append(clean)
        self._correct[_WORST].append(worst)
        self._digest.add(images, labels)
        self.num_examples += len(images)

    def accuracies(self) -> dict[str, float]:
        """Dict from attack to the fraction of images that are robust so far."""
        return {
            name: self._num_correct(name) / self.num_examples for name in self.attacks
        }

    def entries(self) -> dict[str, dict]:
        """Dict from attack to its result, ready for JSON."""
        return {
            name: {
                **proportion(self._num_correct(name), self.num_examples),
                "seconds": round(self._seconds[name], 3),
                "attack": "clean" if attack is None else repr(attack),
                **self._details.get(name, {}),
                **self._curve(name),
            }
            for name, attack in self.attacks.items()
        }

    def clean(self) -> dict:
        """Result on the clean images, whether asked for or not."""
        return proportion(self._num_correct(_CLEAN), self.num_examples)

    def worst_case(self) -> dict:
        """Result of the images that are robust whatever else was tried."""
        return proportion(self._num_correct(_WORST), self.num_examples)

    def outcomes(self) -> dict:
        """Image by image, what `igam_tf.evaluation.compare` takes; ready for JSON."""
        correct = {name: packed(self._all(name)) for name in self.attacks}
        correct["worst_case"] = packed(self._all(_WORST))
        found = {"images": self._digest.state, "correct": correct}
        if self._distances:
            found["distances"] = self._packed_distances()
        return found

    def state(self) -> dict:
        """Everything counted so far, ready for JSON."""
        names = [*self.attacks, _CLEAN, _WORST]
        return {
            "num_examples": self.num_examples,
            "correct": {name: packed(self._all(name)) for name in names},
            "distances": self._packed_distances(),
            "images": self._digest.state,
            "seconds": dict(self._seconds),
            "details": self._details,
        }

    def restore(self, state: dict) -> None:
        """Goes on from an earlier `state`."""
        self.num_examples = state["num_examples"]
        for name, text in state["correct"].items():
            self._correct[name] = [unpacked(text, self.num_examples)]
        for name, text in state.get("distances", {}).items():
            self._distances[name] = [unpacked_distances(text, self.num_examples)]
        self._digest = Digest(state["images"])
        self._seconds.update(state["seconds"])
        self._details = state["details"]

    def _all(self, name):
        return np.concatenate([np.zeros(0, bool), *self._correct[name]])

    def _num_correct(self, name):
        return sum(int(part.sum()) for part in self._correct[name])

    def _attacked(self, name, images, labels, clean):
        attack = self.attacks[name]
        if isinstance(attack, GraphAttack) and self._may_leave_out:
            return self._attacked_where(name, images, labels, clean)
        if isinstance(attack, AutoAttack):
            # All at once: what is left of a portion makes fuller batches.
            outcome = attack.outcome(
                self.model, images, labels, first_index=self.num_examples
            )
            self._keep_details(name, outcome)
            return outcome.adversarial

        def call(start, *some):
            place = {"first_index": self.num_examples + start}
            if not isinstance(attack, StepwiseAttack):
                return attack(self.model, *some, training=self.training, **place)
            outcome = attack.outcome(self.model, *some, training=self.training, **place)
            counts = outcome.forward_passes, outcome.backward_passes
            self._add_passes(name, *(sum(count.values()) for count in counts))
            return outcome.adversarial

        return self._by_batch(call, images, labels)

    @property
    def _may_leave_out(self):
        """Whether an image's result is its own, whatever the batch that it is in."""
        return not self.training and takes_any_batch(self.model)

    def _attacked_where(self, name, images, labels, chosen):
        """The images; those chosen, of which the result is asked for, under attack."""
        attack, adversarial = self.attacks[name], images.copy()
        for rows in parts(np.flatnonzero(chosen), self.batch_size):
            wanted = padded(rows)
            some = (self.model, images[wanted], labels[wanted])
            places = self.num_examples + wanted
            if isinstance(attack, TargetedPGD):
                found, targets, reached = attack.reach(*some, first_index=places)
                pairs = class_pairs(
                    labels[rows],
                    targets,
                    reached[: len(rows)],
                    num_classes(self.model, images),
                )
                kept = self._details.setdefault(name, {})
                kept["class_pairs"] = added(kept.get("class_pairs"), pairs)
            else:
                found = attack(*some, first_index=places)
            adversarial[rows] = found[: len(rows)]
        return adversarial

    def _beyond(self, name, images, labels, clean):
        """Which images have no perturbation within eps, of an attack that measures."""
        attack = self.attacks[name]
        found, distances = attack.nearest(
            self.model,
            images,
            labels,
            first_index=self.num_examples,
            batch_size=self.batch_size,
        )
        # What is said to be found is looked at once more, as with any attack.
        right = self._is_correct(found, labels, f"the images of {name}")
        distances = np.where(right & (distances > 0), np.float32(np.inf), distances)
        distances = np.where(clean, distances, np.float32(0))
        self._distances[name].append(distances)
        classes = num_classes(self.model, images)
        forward, backward = attack.for_classes(classes).image_passes()
        attacked = int((distances > 0).sum())
        self._add_passes(name, len(images) + attacked * forward, attacked * backward)
        return distances > np.float32(attack.eps)

    def _add_passes(self, name, forward, backward):
        if self.num_examples and name not in self._details:
            # An earlier version began this evaluation, and did not count them: the sum
            # would be too small.
            return
        kept = self._details.setdefault(name, {})
        for kind, count in (("forward_passes", forward), ("backward_passes", backward)):
            kept[kind] = kept.get(kind, 0) + count

    def _curve(self, name):
        if name not in self._distances:
            return {}
        return summary(np.concatenate(self._distances[name]), self.attacks[name].eps)

    def _packed_distances(self):
        return {
            name: packed_distances(np.concatenate(parts))
            for name, parts in self._distances.items()
        }

    def _is_known(self, images, labels):
        if not self._misclassified:
            return np.zeros(len(images), bool)
        texts = fingerprints(images, labels)
        return np.array([text in self._misclassified for text in texts])

    def _is_correct(self, images, labels, what):
        what = f"{what} among those from {self.num_examples} on"

        def call(start, images):
            del start
            return finite_logits(self.model, images, self.training, what)

        return self._by_batch(call, images).argmax(axis=1) == labels

    def _by_batch(self, call, *arrays):
        count, size = len(arrays[0]), self.batch_size
        if self.training:
            return by_batch(call, arrays, [count])
        sizes = [min(size, count - start) for start in range(0, count, size)]
        return by_batch(call, arrays, sizes, padded_size=size)

    def _keep_details(self, name, outcome):
        """What is robust after each part of AutoAttack, and what each part cost."""
        found = {
            "standing": {
                part: int(robust.sum()) for part, robust in outcome.robust.items()
            },
            "seconds_of": outcome.seconds,
            "forward_passes": outcome.forward_passes,
            "backward_passes": outcome.backward_passes,
        }
        kept = self._details.setdefault(name, {kind: {} for kind in found})
        for kind, numbers in found.items():
            for part, number in numbers.items():
                kept[kind][part] = round(kept[kind].get(part, 0) + number, 3)
        kept["notes"] = outcome.notes

    @contextlib.contextmanager
    def _timed(self, name):
        start = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - start
