"""Data, rows and evaluation of a run, and how it is executed."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from igam_tf.data import registry
from igam_tf.data.own import names
from igam_tf.data.own.options import AUGMENTATIONS, STREAM
from igam_tf.settings import Settings, setting
from igam_tf.training.methods import METHODS

#: Flags that say how data of one's own are read, and concern no other data.
OWN_DATA = (
    "image_size",
    "source_image_size",
    "test_fraction",
    "split_seed",
    "skip_unreadable",
    "augmentation",
    "stream",
    "crop_area",
    "center_crop",
)
# Of these what image files alone have.
_OF_IMAGES = ("image_size", "stream", "center_crop")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableSettings(Settings):
    """Which rows the table has."""

    methods: tuple = setting(
        ("standard", "finetune", "igam", "pgd"),
        f"Rows of the table, separated by commas: {', '.join(METHODS)}.",
        resumable=True,
    )
    controls: tuple = setting(
        (),
        "Control rows of igam, kdiga and igdm, which tell what their teacher adds, "
        "separated by commas: natural_teacher (the same one, trained on natural "
        "images), random_teacher (with random weights), zero (gradients of zero in "
        "place of the teacher's), shuffled (the teacher's at another image of the same "
        "class, and of another class); of rrm and rslad the first two.",
        resumable=True,
        may_be_empty=True,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSettings(Settings):
    """The two tasks, and where their images are."""

    source: str = setting(
        "",
        "Data set the teacher is robust on: a name, or a path as --target; may be left "
        "out with --teacher_checkpoint.",
    )
    target: str = setting(
        "",
        "Data set of the student's task: a name; or your own images, as a folder with "
        "one sub-folder a class (inside of train/ and test/, or of none), an .npz, "
        "images.npy,labels.npy, a .csv or .parquet of paths and labels; or tfds:NAME.",
    )
    data_dir: str = setting(
        "",
        "Folder of TFDS-prepared data or of tiny-imagenet-200.zip; TFDS' own folder "
        "if left out.",
        resumable=True,
    )
    download: bool = setting(
        True, "Whether TFDS may download data that is not in data_dir.", resumable=True
    )
    train_examples: int = setting(
        0, "Training images of the target task; 0 for all.", at_least=0
    )
    held_out_fraction: float = setting(
        0.0,
        "Part of each class of the target's training images, such as 0.1, that is not "
        "trained on but evaluated on in place of the test images, to choose settings; "
        "0: none, and the test images.",
        at_least=0,
        below=1,
    )
    source_train_examples: int = setting(
        0, "Training images of the source task; 0 for all.", at_least=0
    )
    image_size: str = setting(
        "",
        "Your own images are resized until their shorter side fits, and cropped in the "
        "centre, to this size: 96, or height x width such as 96x128.",
    )
    source_image_size: str = setting(
        "", "The same of your own source, if it is not --image_size."
    )
    test_fraction: float = setting(
        0.2,
        "Part of each class of your own images that is tested on, where they have no "
        "test/ of their own.",
        above=0,
        below=1,
    )
    split_seed: int = setting(
        0,
        "Chooses those test images, and those of --held_out_fraction; --seed does not.",
        at_least=0,
    )
    skip_unreadable: bool = setting(
        False, "Leave out those of your own images that cannot be decoded."
    )
    augmentation: str = setting(
        "auto",
        "Of your own training images: shifted crops, flips left to right; auto is both "
        "for colour, and none for grey images. Of streamed ones resized_crop, too: a "
        "part of random area and shape; auto is resized_crop_and_flip for colour.",
        choices=AUGMENTATIONS,
    )
    stream: str = setting(
        "auto",
        "Decode your own images when they are needed, and not into memory once; auto "
        "does so if all of them, decoded, would take more than 4 GiB.",
        choices=STREAM,
    )
    crop_area: float = setting(
        0.08,
        "Least part of the area that a resized_crop keeps.",
        above=0,
        at_most=1,
    )
    center_crop: float = setting(
        0.0,
        "Part of the side that is kept of your own images, in the centre: of test "
        "images, and of training images but those that a resized_crop is taken of. 0 "
        "is 0.875 of streamed test images, and the whole of all others.",
        at_least=0,
        at_most=1,
    )
    image_noise: float = setting(
        0.0,
        "Uniform noise of at most this much on training images, such as 8/255.",
        at_least=0,
        at_most=1,
    )

    def own(self, role: str) -> dict[str, Any]:
        """How data of one's own are read: `igam_tf.data.own.options.Options`.

        Args:
            role: "source" or "target".

        Returns:
            Dict; empty for a registered data set.
        """
        return own_options(self.flags(), role)

    def info(self, role: str) -> registry.DatasetInfo:
        """What is known of the data of a role, "source" or "target", unread.

        Raises:
            ValueError, OSError: as `igam_tf.data.registry.find`.
        """
        place = self.data_dir or None
        return registry.find(getattr(self, role), data_dir=place, **self.own(role))

    def known(self, role: str) -> registry.DatasetInfo:
        """`info`, with errors that name the flag."""
        try:
            return self.info(role)
        except OSError as error:
            raise type(error)(f"--{role}: {error}") from None
        except ValueError as error:
            raise ValueError(f"--{role}: {error}") from None


def own_options(flags: Mapping[str, Any], role: str) -> dict[str, Any]:
    """The same from flags by name, such as the settings of an earlier run's results."""
    if not registry.is_own(flags[role]):
        return {}
    size = role == "source" and flags.get("source_image_size")
    found = {name: flags[name] for name in OWN_DATA if name in flags}
    found.pop("source_image_size", None)
    other = flags.get("target" if role == "source" else "source") or ""
    if names.are_arrays(flags[role]) and _are_images(other):
        # They are meant for the other task: arrays have one size already.
        found = {name: v for name, v in found.items() if name not in _OF_IMAGES}
    return {**found, **({"image_size": size} if size else {})}


def _are_images(name):
    return registry.is_own(name) and not names.are_arrays(name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    """Where a run runs, on which devices, in which precision."""

    run_dir: str = setting(
        "",
        "Run folder; runs/SOURCE_to_TARGET-HASH, or runs/TABLE-SIZE of a table, if "
        "left out.",
        resumable=True,
    )
    imported: tuple = setting(
        (),
        "Python files that are run first, separated by commas: networks and layers of "
        "your own, data sets and methods that they register.",
        flag="import",
        resumable=True,
        may_be_empty=True,
    )
    tensorboard: bool = setting(
        False,
        "Whether to write losses, cosine, validation and pictures of input gradients "
        "for TensorBoard, into STAGE/tensorboard of the run folder (pip install "
        "'igam_tf[tensorboard]').",
        resumable=True,
    )
    epoch_attack: str = setting(
        "",
        "Attack that every row is tried with at the end of each epoch, on the first "
        "1,000 test images at most, such as pgd10: a column of history.csv, a curve.",
        resumable=True,
    )
    seed: int = setting(0, "Seed of everything random.", at_least=0, at_most=2**31 - 1)
    strategy: str = setting(
        "auto",
        "mirrored over local devices, multiworker (machines in TF_CONFIG), one device, "
        "or auto.",
        resumable=True,
        choices=("auto", "one", "mirrored", "multiworker"),
    )
    devices: int = setting(
        0, "Local replicas; 0 for all GPUs, or one CPU.", resumable=True, at_least=0
    )
    precision: str = setting(
        "float32",
        "What networks compute in; weights are float32.",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    micro_batch: int = setting(
        0,
        "Images of a replica in memory at once, gradients added up over the batch; 0 "
        "for the whole batch.",
        at_least=0,
    )
    jit_compile: str = setting(
        "auto",
        "XLA: auto is on a GPU only.",
        resumable=True,
        choices=("auto", "true", "false"),
    )
    checkpoint_steps: int = setting(
        0,
        "Training steps after which the state is saved within an epoch, too, for "
        "epochs of hours; 0: at the end of each epoch only.",
        resumable=True,
        at_least=0,
    )
    steps_per_execution: int = setting(
        1,
        "Training steps per call of the compiled function, at most; a divisor of the "
        "steps of an epoch is taken.",
        resumable=True,
        at_least=1,
    )
