"""What a method declares about itself, so that a run can make a row of it.

Each method's file has a `Settings` of this kind beside its class; `methods.METHODS`
lists them, and flags, tables, cards and pages are made from that list.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from igam_tf.settings import Settings

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.runner import Run
    from igam_tf.experiment.setup import Setup
    from igam_tf.training.base import TrainingMethod

#: Groups of an experiment's settings that a method may read beside `data`, `student`,
#: `training` and `run`, which every row depends on.
GROUPS = frozenset({"teacher", "finetuning", "matching", "penalty", "attack"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class MethodSettings(Settings):
    """Base of a method's settings: its own flags, what it needs, how it is built.

    A subclass is a frozen dataclass whose fields are made by
    `igam_tf.settings.setting`; its flags need names of their own
    (`flag="curvature_weight"`).
    """

    #: The method's name in `--methods`, in run folders and in `results.json`.
    name: ClassVar[str]
    #: Its name in tables and figures; `label` may add to it.
    title: ClassVar[str]
    #: Which of `GROUPS` the method reads; no other setting of them changes its row.
    uses: ClassVar[frozenset[str]] = frozenset({"matching", "penalty", "attack"})
    #: Whether it learns from the teacher with logits of the target task.
    needs_teacher: ClassVar[bool] = False
    #: Whether it is trained to be like that teacher, so that `--controls` can put
    #: something else in the teacher's place.
    has_controls: ClassVar[bool] = False
    #: Whether these may also match gradients of zero or of another image; `build` then
    #: takes `setup.matched_to`. Otherwise they have another teacher, and nothing else.
    matches_gradients: ClassVar[bool] = True
    #: Whether the row is that teacher itself; nothing is built then.
    is_teacher: ClassVar[bool] = False
    #: Normalisation inside of its students, see `igam_tf.models`.
    student_normalization: ClassVar[str] = "zero_mean_unit_norm"

    def controls(self) -> tuple[str, ...]:
        """Names in `--controls` that rows of this method can have."""
        if not self.has_controls:
            return ()
        gradients = ("zero", "shuffled") if self.matches_gradients else ()
        return ("natural_teacher", "random_teacher", *gradients)

    def label(self) -> str:
        """Name of the row in tables and figures."""
        return self.title

    def trains_first(self) -> bool:
        """Whether `prepare` trains a network of its own."""
        return False

    def learns_labels(self) -> bool:
        """Whether a term of its loss has the images' labels, which may be smoothed."""
        return True

    def starts_from(self) -> str:
        """Name of the method whose student this one starts from; "" for none."""
        return ""

    def check(self, experiment: Experiment) -> None:
        """Raises ValueError if a setting does not suit the others; reads no data.

        It is called for every experiment, whether it has this row or not.
        """

    def check_row(self, setup: Setup) -> None:
        """Raises ValueError if the row could not be trained.

        It is called before anything is trained. `setup` has the data of the target, and
        neither teacher nor targets.
        """

    def prepare(self, run: Run) -> tuple[Callable | None, Callable | None]:
        """What is made before the row is trained, such as PAG's target gradients.

        Args:
            run: `igam_tf.experiment.runner.Run`, for its data, folder, strategy, seeds.
                Where steps are only measured (`--dry_run`) its folder is None.

        Returns:
            Tuple (targets, batches): what `build` finds as `setup.targets`; and a
            function (batch_size, seed, first_epoch) to the training batches, or None
            for those of the task.
        """
        del run
        return None, None

    def build(self, setup: Setup) -> TrainingMethod:
        """The compiled method of a row.

        Args:
            setup: `igam_tf.experiment.setup.Setup`: student, teacher, number of steps,
                and the arguments and optimizers that all methods share.
        """
        raise TypeError(f"{type(self).__name__} does not define its build.")
