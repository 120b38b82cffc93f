"""AutoAttack (Croce & Hein 2020): four attacks, each on what the ones before left.

    attack = igam_tf.AutoAttack(eps=8 / 255, norm="linf", version="standard")
    adversarial_images = attack(model, images, labels)  # any Keras classifier

Its parts are usable alone: `APGD`, `FAB`, `Square`. They follow the authors' code
(Croce and Hein: Reliable evaluation of adversarial robustness with an ensemble of
diverse parameter-free attacks, ICML 2020; and Mind the box: l1-APGD for sparse
adversarial attacks on image classifiers, ICML 2021), with which `benchmarks/` compares
them.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.apgd import APGD
from igam_tf.attacks.attack import Attack
from igam_tf.attacks.engine.cost import Progress
from igam_tf.attacks.engine.images import DEFAULT_BATCH_SIZE
from igam_tf.attacks.engine.runner import AttackRunner, Outcome
from igam_tf.attacks.fab import FAB
from igam_tf.attacks.fractions import fraction
from igam_tf.attacks.geometry import restart_seed
from igam_tf.attacks.square import Square
from igam_tf.attacks.stepwise import StepwiseAttack

__all__ = ["APGD", "AutoAttack", "FAB", "Outcome", "Progress", "Square"]

VERSIONS = ("standard", "plus", "rand")
# Runs of one attack take the seeds s, s + 1, ... of `restart_seed`; attacks keep apart.
_SEEDS_AN_ATTACK = 1000


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class AutoAttack(Attack):
    """Several attacks without parameters to tune; each image's worst case is kept.

    "standard" is APGD on the cross entropy, APGD on the targeted DLR loss and FAB, both
    with 9 target classes, and Square with 5,000 queries, one restart each: the budgets
    of the paper's authors and of RobustBench; in L1, as theirs, APGD on the cross
    entropy has five restarts, and targeted APGD 5 targets. "plus" is APGD on the cross
    entropy and on the DLR loss and FAB without targets, with five restarts each, then
    Square, and APGD and FAB with 9 targets. (The authors' "plus" warns in L1, and does
    not begin in larger balls there; this one does, as "standard".) "rand", for models
    with random outputs, is APGD on the cross entropy and on the DLR loss with gradients
    averaged over 20 draws.

    With fewer than 10 classes all wrong ones are targets; with fewer than 4, where DLR
    is undefined, its numerator takes its place (`Outcome.notes` says so).

    Args:
        eps: radius of the ball, as a fraction such as 8/255.
        norm: "linf", "l2" or "l1".
        version: "standard", "plus", "rand", or a tuple of stepwise attacks (APGD, FAB,
            Square, SPSA), all with this eps and norm.
        seed: integer, seed of everything random.
        batch_size: largest batch; no result depends on it.
        checkpoint_dir: folder where the state is saved every few seconds, in one file
            for each model, images and settings; the same call then goes on where it
            was. None for no file.
        callback: called with an `igam_tf.attacks.autoattack.Progress` several times a
            run: images that are robust so far, share of the work done, time left.

    Raises:
        ValueError: if an argument is outside its range.
    """

    eps: float = 8 / 255
    norm: str = "linf"
    version: str | Sequence[StepwiseAttack] = "standard"
    seed: int = 0
    batch_size: int = DEFAULT_BATCH_SIZE
    checkpoint_dir: str | os.PathLike | None = None
    callback: Callable[[Progress], object] | None = dataclasses.field(
        default=None, compare=False
    )

    random_start = True

    def __post_init__(self) -> None:
        checks.one_of("norm", self.norm, checks.ALL_NORMS)
        checks.radius("eps", self.eps, self.norm)
        checks.whole_number("batch_size", self.batch_size, 1)
        checks.seed(self.seed)
        if isinstance(self.version, str):
            checks.one_of("version", self.version, VERSIONS)
            return
        object.__setattr__(self, "version", tuple(self.version))
        if not self.version:
            raise ValueError("version is empty: expected at least one attack.")
        for attack in self.version:
            self._check_part(attack)

    @property
    def attacks(self) -> dict[str, StepwiseAttack]:
        """Dict from name to attack, in order."""
        if not isinstance(self.version, str):
            attacks = self.version
        else:
            attacks = [self._part(*part, **kw) for *part, kw in self._composition()]
        names = [attack.name for attack in attacks]
        unique = len(set(names)) == len(names)
        return {
            name if unique else f"{number}: {name}": attack
            for number, (name, attack) in enumerate(
                zip(names, attacks, strict=True), start=1
            )
        }

    def outcome(
        self,
        model: keras.Model,
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        *,
        first_index: int = 0,
    ) -> Outcome:
        """As the call, but with all that was measured.

        Args:
            model: Keras model from images to logits (batch, classes).
            images: float32 array or tensor (batch, height, width, channels) in [0, 1].
            labels: integers (batch,).
            first_index: place of the first image in its data set.

        Returns:
            An `igam_tf.attacks.autoattack.Outcome`: adversarial images, which of them
            are robust after each attack, seconds and passes of each.

        Raises:
            ValueError: if the images, labels or model do not fit, or at NaN.
        """
        runner = AttackRunner(
            model,
            self.attacks,
            images,
            labels,
            first_index=first_index,
            batch_size=self.batch_size,
            checkpoint_dir=self.checkpoint_dir,
            callback=self.callback,
        )
        return runner.run()

    def __call__(
        self,
        model: keras.Model,
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        *,
        training: bool = False,
        first_index: int = 0,
    ) -> np.ndarray:
        """Attacks images; see `igam_tf.attacks.Attack`. All may be given at once.

        Raises:
            ValueError: also with `training=True`: a model that uses batch statistics
                gives an image another result with every set of neighbours, and no
                worst case over several attacks is defined.
        """
        if training:
            raise ValueError(
                f"{self} on a model in training mode (batch statistics): expected "
                "inference mode, in which an image's result is its own, because each "
                "attack runs only on the images that are left; use pgd or a single "
                "APGD with batch statistics."
            )
        return self.outcome(model, images, labels, first_index=first_index).adversarial

    def _composition(self):
        """Tuples of a kind of attack, the number of its seed, and its settings."""
        dlr = {"loss": "dlr"}
        if self.version == "rand":
            return [
                (APGD, 0, {"eot_iter": 20}),
                (APGD, 1, {"eot_iter": 20, **dlr}),
            ]
        more = {"num_restarts": 5}
        targeted = {"loss": "dlr_targeted"}
        if self.version == "plus":
            return [
                (APGD, 0, more),
                (APGD, 4, {**dlr, **more}),
                (FAB, 5, {"num_targets": 0, **more}),
                (Square, 3, {}),
                (APGD, 1, targeted),
                (FAB, 2, {}),
            ]
        is_l1 = self.norm == "l1"
        return [
            (APGD, 0, more if is_l1 else {}),
            (APGD, 1, {**targeted, "num_targets": 5} if is_l1 else targeted),
            (FAB, 2, {}),
            (Square, 3, {}),
        ]

    def _part(self, kind, number, **settings):
        seed = restart_seed(self.seed, number * _SEEDS_AN_ATTACK)
        return kind(eps=self.eps, norm=self.norm, seed=seed, **settings)

    def _check_part(self, attack):
        if not isinstance(attack, StepwiseAttack):
            raise ValueError(
                f"version has {attack!r}: expected attacks of "
                "igam_tf.attacks.autoattack, such as APGD(eps=8/255) or "
                "Square(eps=8/255)."
            )
        if (attack.eps, attack.norm) != (self.eps, self.norm):
            raise ValueError(
                f"version has {attack}: expected the ensemble's eps "
                f"{fraction(self.eps)} and norm {self.norm!r}."
            )

    def __repr__(self):
        version = self.version
        if not isinstance(version, str):
            version = tuple(self.attacks.values())
        return (
            f"AutoAttack(eps={fraction(self.eps)}, norm={self.norm!r}, "
            f"version={version!r}, seed={self.seed})"
        )
