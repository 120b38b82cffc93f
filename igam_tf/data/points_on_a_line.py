"""Points of the plane on the line x2 = 2 x1: the toy of PAG (Ganz et al., ICML 2023).

A classifier of them learns nothing from its images about what to do off the line. Six
modes stand 0.2 apart along the line (standard deviation 0.005), of two classes in turn;
the line is scaled into [0, 1]^2.
"""

import os

import numpy as np

from igam_tf.data import task
from igam_tf.data.registry import DatasetInfo

MODES, PER_MODE, TEST_PER_MODE = 6, 1000, 100
SPACING, DEVIATION = 0.2, 0.005
DIRECTION = np.array([1.0, 2.0]) / np.sqrt(5.0)
_TEST_SEED = 10_000


def points(per_mode: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points mode by mode.

    Args:
        per_mode: points of each mode.
        seed: of the places.

    Returns:
        Tuple (points, labels): float32 (n, 2) in [0, 1], and int32 (n,), the parity of
        the mode.
    """
    generator = np.random.default_rng(seed)
    modes = np.repeat(np.arange(MODES), per_mode)
    middle = SPACING * (MODES - 1) / 2
    along = modes * SPACING - middle + DEVIATION * generator.normal(size=len(modes))
    places = 0.5 + along[:, None] * DIRECTION
    return places.astype(np.float32), (modes % 2).astype(np.int32)


def read(
    info: DatasetInfo,
    data_dir: str | os.PathLike | None,
    *,
    train_examples: int | None,
    test_examples: int | None,
    download: bool,
    progress: bool,
) -> task.Task:
    """The points as images of one row of two grey pixels; always the same ones.

    Args:
        info: `DatasetInfo`.
        data_dir, download, progress: not used.
        train_examples, test_examples: so many points, of all modes; None for all.

    Returns:
        Task with float32 images [n, 1, 2, 1] in [0, 1].
    """
    del data_dir, download, progress

    def split(per_mode, seed, examples):
        places, labels = points(per_mode, seed=seed)
        # The first so many of an order that begins with all modes.
        order = np.arange(len(labels)).reshape(MODES, -1).T.ravel()[:examples]
        return task.Split(places[order].reshape(-1, 1, 2, 1), labels[order])

    return task.Task(
        name=info.name,
        num_classes=info.num_classes,
        image_shape=info.image_shape,
        train=split(PER_MODE, 0, train_examples),
        test=split(TEST_PER_MODE, _TEST_SEED, test_examples),
        train_total=MODES * PER_MODE,
        test_total=MODES * TEST_PER_MODE,
    )
