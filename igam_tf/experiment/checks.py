"""Checks of a run before anything is trained."""

import secrets

from igam_tf import distribution

_SHARED = "shared_by_all_workers"


def check_shared_folder(folder, strategy):
    """All workers need to see what the first one writes.

    Args:
        folder: `RunFolder`.
        strategy: the strategy that trains.

    Raises:
        ValueError: at workers that see another folder.
    """
    if not distribution.is_multiworker(strategy):
        return
    token = secrets.randbits(30)
    folder.write_json(_SHARED, token)
    token = distribution.from_first_worker(strategy, token)
    if folder.read_json(_SHARED) != token:
        raise ValueError(
            f"--run_dir={folder.path} is not the folder of the first worker: pass one "
            "that all workers share, such as a folder of a network file system."
        )
    distribution.wait_for_all(strategy)


def check_batch(experiment, flag, split, strategy):
    """Every replica needs an image of every batch: batch norm of none is NaN.

    Args:
        experiment: the settings.
        flag: name of the setting that holds the batch size.
        split: `igam_tf.data.Split` of training images.
        strategy: the strategy that trains.

    Raises:
        ValueError: naming the flag.
    """
    size, replicas = getattr(experiment, flag), strategy.num_replicas_in_sync
    for batch in {min(size, len(split)), len(split) % size or size}:
        if -(-batch // replicas) * (replicas - 1) >= batch:
            raise ValueError(
                f"--{flag}={size} gives a batch of {batch} of the {len(split)} "
                f"training images, too few for {replicas} replicas; change it, or the "
                "number of training images."
            )
