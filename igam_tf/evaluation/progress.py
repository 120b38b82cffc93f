"""Progress of an evaluation: one line with the accuracies so far and the time left."""

import sys

import keras

from igam_tf.attacks import autoattack
from igam_tf.evaluation.corruptions.names import Corruptions
from igam_tf.evaluation.statistics import LEAST_IMAGES

# Within a portion: images that are robust so far, minutes until it is done.
_PART = ("robust", "minutes")
# Minutes from which on an estimate is told; images that it is told for, besides all.
_WORTH_SAYING, _FEW, _MANY = 5, 100, 1000


class Progress:
    """A progress bar over images.

    Args:
        target: number of images, or None if not known; too many does no harm.
        names: names of the values that `update` is given.
        show: whether to print anything.
    """

    def __init__(self, target: int | None, names: list[str], show: bool) -> None:
        # A log file gets a line a minute, a terminal one line that moves.
        interval = 0.2 if sys.stdout.isatty() else 60
        self._bar = show and keras.utils.Progbar(
            target,
            stateful_metrics=[*names, *_PART],
            interval=interval,
            unit_name="image",
        )
        self._done = 0
        self._values: list[tuple[str, float]] = []
        self._estimate = Estimate(target) if show else None

    def update(self, done: int, values: dict[str, float]) -> None:
        """Shows that `done` images are done; `values` maps names to numbers."""
        self._done, self._values = done, list(values.items())
        if self._bar:
            self._bar.update(done, self._values, finalize=False)

    def part(self, progress: autoattack.Progress) -> None:
        """Shows how far AutoAttack is within a portion (an `autoattack.Progress`)."""
        if self._estimate:
            sentence = self._estimate.sentence(progress, self._done)
            if sentence:
                print(f"\n{sentence}", flush=True)
        if self._bar:
            done = self._done + int(progress.fraction * progress.num_images)
            now = (progress.num_robust, progress.seconds_left / 60)
            values = [*self._values, *zip(_PART, now, strict=True)]
            self._bar.update(done, values, finalize=False)

    def close(self) -> None:
        """Shows the last state, and ends the line."""
        if self._bar:
            self._bar.target = self._done
            self._bar.update(self._done, self._values, finalize=True)


class Estimate:
    """What AutoAttack will take, said once, where it is more than some minutes.

    The first chunk of steps compiles, and is not counted: what the second one takes for
    its passes of images stands for all that may come.

    Args:
        target: number of images of the evaluation, or None if not known.
    """

    def __init__(self, target: int | None) -> None:
        self._target = target
        self._first: autoattack.Progress | None = None
        self._said = False

    def sentence(self, progress: autoattack.Progress, done: int) -> str:
        """The sentence after the second chunk; "" before and later.

        Args:
            progress: what AutoAttack tells of the present portion of the images.
            done: images that were done before this portion.
        """
        first, self._first = self._first, self._first or progress
        if self._said or first is None or progress.passes <= first.passes:
            return ""
        self._said = True
        pace = (progress.seconds - first.seconds) / (progress.passes - first.passes)
        passes = progress.passes + progress.passes_expected
        an_image = pace * passes / progress.num_images
        count = _MANY if self._target is None else self._target - done
        if an_image * count < 60 * _WORTH_SAYING:
            return ""
        fewer = _FEW if count > _FEW else max(1, count // 10)
        return (
            f"AutoAttack: about {_duration(an_image * count)} for {count:,} images on "
            "this machine, if all withstand it as often as the first ones so far; for "
            f"{fewer} (--max_examples={fewer}; --eval_examples={fewer} of `run`): "
            f"{_duration(an_image * fewer)}."
        )


def corruptions_sentence(
    seconds_an_image: float, num_images: int, asked: Corruptions
) -> str:
    """What an evaluation on corruptions will take; "" for less than some minutes.

    Args:
        seconds_an_image: of one image in all its corrupted forms.
        num_images: number of images.
        asked: the corruptions.
    """
    seconds = seconds_an_image * num_images
    if seconds < 60 * _WORTH_SAYING:
        return ""
    fewer = min(_MANY, max(1, num_images // 10))
    return (
        f"Common corruptions: about {_duration(seconds)} on this machine, after the "
        f"attacks, for {len(asked.chosen)} corruptions at {len(asked.severities)} "
        f"severities of {num_images:,} images; for {fewer:,} (--max_examples={fewer}; "
        f"--eval_examples={fewer} of `run`): {_duration(seconds_an_image * fewer)}."
    )


def _duration(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def tell_before(warnings: list[str], panel_examples: int) -> None:
    """Prints what is known before the panel, which takes minutes on a large model.

    Args:
        warnings: list of sentences.
        panel_examples: number of images that the panel will look at, 0 without one.
    """
    for sentence in warnings:
        print(f"Warning: {sentence}")
    if panel_examples:
        print(f"Looking for signs of gradient masking on {panel_examples} images.")
    sys.stdout.flush()


def tell_panel(panel: dict) -> None:
    """Prints what `masking_panel` has found, before the first attack."""
    warns = panel["warns"]
    print(
        f"Masking panel: {len(panel['checks'])} checks on {panel['num_examples']} "
        f"images, {panel['seconds']:.0f} s, {len(warns) or 'no'} warnings"
    )
    if panel["num_examples"] < LEAST_IMAGES:
        print(
            f"Warning: with fewer than {LEAST_IMAGES} images no check of the panel "
            "that counts images can warn; pass a larger --panel_examples."
        )
    for name in warns:
        print(f"Warning, {name}: {panel['checks'][name]['sentence']}")
