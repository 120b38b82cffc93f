"""Describes a TF1 checkpoint by its index, before any weights are loaded."""

import dataclasses
import os

from igam_tf.checkpoints.errors import CheckpointError, shortened
from igam_tf.checkpoints.tf1.bundle import Bundle
from igam_tf.checkpoints.tf1.locate import located, step_of
from igam_tf.checkpoints.tf1.parts import Part
from igam_tf.checkpoints.tf1.recognition import find_parts, is_slot


@dataclasses.dataclass(frozen=True)
class CheckpointInfo:
    """What `describe` found.

    Attributes:
        prefix: path of the checkpoint without `.index`; for a zip, its path and that.
        kind: the kind of its only part, "igam_training" if it holds several, or
            "foreign" if it holds none that is known.
        step: `global_step` in the name, or None.
        parts: tuple of Part.
        num_variables: of the whole file.
        num_slots: how many of these are optimizer slots.
        other: names of variables that belong to no part, slots and counters aside.
    """

    prefix: str
    kind: str
    step: int | None
    parts: tuple[Part, ...]
    num_variables: int
    num_slots: int
    other: tuple[str, ...]

    def part(self, name: str | None = None) -> Part:
        """The part of that name; without a name the only one.

        Raises:
            ValueError: if there is no such part, or several to choose from.
        """
        held = {part.name: part for part in self.parts}
        if name is None and len(held) == 1:
            return self.parts[0]
        if name in held:
            return held[name]
        if not held:
            raise CheckpointError(
                f"{self.prefix} holds no network of MadryLab's or of the IGAM authors' "
                "code: neither 'input/init_conv/DW' (CIFAR), nor 'Variable' (MNIST), "
                f"nor 'classifier/...', nor 'discriminator/...'; its "
                f"{self.num_variables} variables are {shortened(self.other)}."
            )
        raise ValueError(
            f"part={name!r}: {self.prefix} holds {', '.join(map(repr, held))}; pass "
            "one of them (--part on the command line)."
        )

    @property
    def depth(self) -> int | None:
        return self.parts[0].depth if self.parts else None

    @property
    def width(self) -> int | None:
        return self.parts[0].width if self.parts else None

    @property
    def num_classes(self) -> int | None:
        return self.parts[0].num_classes if self.parts else None

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        return self.parts[0].image_shape if self.parts else None

    @property
    def normalization(self) -> str | None:
        return self.parts[0].normalization if self.parts else None

    def __str__(self) -> str:
        step = "" if self.step is None else f", step {self.step}"
        lines = [f"{self.prefix}: {self.kind}{step}"]
        lines += [f"  {line}" for part in self.parts for line in str(part).split("\n")]
        lines.append(
            f"  {self.num_variables} variables, {self.num_slots} of them optimizer "
            "slots"
        )
        if self.other:
            lines.append(f"  not of these networks: {shortened(self.other)}")
        return "\n".join(lines)


def describe(path: str | os.PathLike) -> CheckpointInfo:
    """Describes what a TF1 checkpoint holds; reads only its index.

    Args:
        path: folder, prefix, `.index` file or zip, as for `load`.

    Returns:
        CheckpointInfo; print it.

    Raises:
        CheckpointError: if the checkpoint is damaged.
        FileNotFoundError: if it, or one of its files, is missing.
    """
    with located(path) as (prefix, shown):
        return describe_bundle(Bundle(prefix, shown))


def describe_bundle(bundle: Bundle) -> CheckpointInfo:
    """`describe` for an opened `Bundle`."""
    parts, other = find_parts(bundle)
    kind = "foreign" if not parts else parts[0].kind
    return CheckpointInfo(
        prefix=bundle.shown,
        kind="igam_training" if len(parts) > 1 else kind,
        step=step_of(bundle.shown),
        parts=parts,
        num_variables=len(bundle.entries),
        num_slots=sum(map(is_slot, bundle.entries)),
        other=other,
    )
