"""Progress of an evaluation: one line with the accuracies so far and the time left."""

import sys

import keras

from igam_tf.attacks import autoattack

# Within a portion: images that are robust so far, minutes until it is done.
_PART = ("robust", "minutes")


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

    def update(self, done: int, values: dict[str, float]) -> None:
        """Shows that `done` images are done; `values` maps names to numbers."""
        self._done, self._values = done, list(values.items())
        if self._bar:
            self._bar.update(done, self._values, finalize=False)

    def part(self, progress: autoattack.Progress) -> None:
        """Shows how far AutoAttack is within a portion (an `autoattack.Progress`)."""
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


def tell(warnings: list[str], panel: dict | None) -> None:
    """Prints what is known before the first attack.

    Args:
        warnings: list of sentences.
        panel: what `masking_panel` returns, or None.
    """
    for sentence in warnings:
        print(f"Warning: {sentence}")
    if panel is None:
        return
    warns = panel["warns"]
    print(
        f"Masking panel: {len(panel['checks'])} checks on {panel['num_examples']} "
        f"images, {panel['seconds']:.0f} s, {len(warns) or 'no'} warnings"
    )
    for name in warns:
        print(f"Warning, {name}: {panel['checks'][name]['sentence']}")
