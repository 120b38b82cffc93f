"""The row pag: its target gradients, and the batches it trains on."""

from igam_tf import data, distribution, training
from igam_tf.models.loading import load_keras
from igam_tf.training import pag_targets


class Alignment:
    """Target gradients of a task, as the settings ask for them.

    Args:
        experiment: the settings.
        folder: `RunFolder`; a trained score network and its targets are kept there.
        task: `igam_tf.data.Task` of the target.
        strategy: the strategy that trains.
        seed: of whatever is drawn.

    Attributes:
        targets: function (images, labels) for `training.PAG`, or None where the
            batches bring the targets.
    """

    def __init__(self, experiment, folder, task, strategy, seed):
        self.split = task.train
        self._array = None
        name, network = experiment.pag_targets, None
        if name == "sbg":
            network = _score_network(experiment, folder, task, strategy, seed)
        self.targets = pag_targets.make(
            name,
            task.train,
            task.num_classes,
            per_class=experiment.pag_per_class,
            score_network=network,
            sigma=experiment.score_sigma,
            num_draws=experiment.score_draws,
            seed=seed,
        )
        if network is None:
            return
        # The first worker writes the file, the others read it.
        if not folder.writes:
            distribution.wait_for_all(strategy)
        path = folder.file("pag", "targets.npy")
        self._array = pag_targets.cached(self.targets, task.train, path)
        self.targets = None
        if folder.writes:
            distribution.wait_for_all(strategy)

    def batches(self, batch_size, *, seed, first_epoch):
        """Batches without crop and flip, which PAG does inside of the gradient."""
        common = {"seed": seed, "first_epoch": first_epoch}
        if self._array is None:
            return data.training_batches(
                self.split, batch_size, augmentation=data.Augmentation(), **common
            )
        return pag_targets.batches(self._array, self.split, batch_size, **common)


def _score_network(experiment, folder, task, strategy, seed):
    """The denoiser that was brought along, found in the folder, or trained here."""
    if experiment.score_model:
        return load_keras(experiment.score_model)
    finished = folder.load_model("score_network.keras", distribution.local(strategy))
    if finished is not None:
        return finished
    network = training.train_score_network(
        task.train,
        num_classes=task.num_classes,
        epochs=experiment.score_epochs,
        seed=seed,
        verbose=0,
    )
    folder.save_model(network, "score_network.keras")
    distribution.wait_for_all(strategy)
    return network
