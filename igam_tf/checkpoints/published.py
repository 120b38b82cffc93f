"""The published checkpoints: where each one is and how to get it."""

import os
from typing import NamedTuple


class Download(NamedTuple):
    """Where a checkpoint is published; `sha256` is None where its authors give none."""

    url: str
    sha256: str | None
    source: str


_CIFAR10 = "https://github.com/MadryLab/cifar10_challenge"
_MNIST = "https://github.com/MadryLab/mnist_challenge"
DOWNLOADS = {
    "cifar10_natural": Download(
        "https://www.dropbox.com/s/cgzd5odqoojvxzk/natural.zip?dl=1", None, _CIFAR10
    ),
    "cifar10_adv_trained": Download(
        "https://www.dropbox.com/s/g4b6ntrp8zrudbz/adv_trained.zip?dl=1", None, _CIFAR10
    ),
    "cifar10_secret": Download(
        "https://www.dropbox.com/s/ywc0hg8lr5ba8zd/secret.zip?dl=1",
        "555be6e892372599380c9da5d5f9802f9cbd098be8a47d24d96937a002305fd4",
        _CIFAR10,
    ),
    "mnist_natural": Download(f"{_MNIST}_models/raw/master/natural.zip", None, _MNIST),
    "mnist_adv_trained": Download(
        f"{_MNIST}_models/raw/master/adv_trained.zip", None, _MNIST
    ),
    "mnist_secret": Download(
        f"{_MNIST}_models/raw/master/secret.zip",
        "14eea09c72092db5c2eb5e34cd105974f42569281d2f34826316e356d057f96d",
        _MNIST,
    ),
    "mnist_l2": Download(f"{_MNIST}_models/raw/master/l2_model.zip", None, _MNIST),
}

# The IGAM authors' own are in a Drive folder, and downloaded by hand.
ADDRESS = "https://github.com/alvinchangw/IGAM_CVPR2020"


class ByHand(NamedTuple):
    """A checkpoint of the authors: its Drive folder, what it is, how it is loaded.

    A finetuned teacher needs the `statistics` of another checkpoint, since its saver
    held trainable variables only.
    """

    folder: str
    holds: str
    option: str
    statistics: str | None = None


BY_HAND = {
    "igam_cifar10_to_cifar100_teacher": ByHand(
        "adv_trained_finetuned_on_cifar100",
        "MadryLab's CIFAR-10 teacher, finetuned on CIFAR-100",
        "moving_statistics={statistics!r}",
        "cifar10_adv_trained",
    ),
    "igam_cifar10_to_cifar100_student": ByHand(
        "modelIGAM-cifar10to100", "IGAM's CIFAR-100 student", "part='student'"
    ),
    "igam_tiny_imagenet_to_cifar10_teacher": ByHand(
        "adv_trained_tinyimagenet_finetuned_on_c10_upresize",
        "the adversarially trained Tiny-ImageNet teacher, finetuned on CIFAR-10",
        "moving_statistics={statistics!r}",
        "FOLDER_OF_THE_TINY_IMAGENET_NETWORK",
    ),
    "igam_tiny_imagenet_to_cifar10_student": ByHand(
        "modelIGAM-tinyimagenettocifar10",
        "IGAM's CIFAR-10 student",
        "part='student'",
    ),
}


def instructions(name: str, folder: str | os.PathLike = "models") -> str:
    """What to download by hand, from where, and what to do with it next.

    Args:
        name: key of `BY_HAND`.
        folder: where the user keeps checkpoints.

    Returns:
        str, of several lines.
    """
    checkpoint = BY_HAND[name]
    path = f"{folder}/{checkpoint.folder}"
    statistics = f"{folder}/{checkpoint.statistics}"
    option = checkpoint.option.format(statistics=statistics)
    needed = checkpoint.statistics and (
        f"\n     where {statistics} is the network that it was finetuned from, whose "
        "batch statistics it lacks (`fetch cifar10_adv_trained`; the Tiny-ImageNet "
        "network is in the same Drive folder)"
    )
    return (
        f"{name} ({checkpoint.holds}) is in its authors' Google Drive folder, and is "
        "not fetched by this command. Download it by hand:\n"
        f"  1. open {ADDRESS} and follow the link under 'Saved model weights';\n"
        f"  2. download the folder {checkpoint.folder!r} (Drive makes a zip of it), "
        f"and unpack it to {path}, or use the zip as it is;\n"
        f"  3. igam-tf checkpoints describe {path}\n"
        f"  4. in Python: igam_tf.checkpoints.load({path!r}, {option})"
        f"{needed or ''}"
    )
