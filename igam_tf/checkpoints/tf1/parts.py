"""One network of a TF1 checkpoint: its sizes, its variables, its Keras model."""

import dataclasses
import numbers
import typing
from collections.abc import Iterable

import keras

from igam_tf.checkpoints.tf1 import names
from igam_tf.models import dense_discriminator, discriminator, mnist_cnn, wide_resnet


@dataclasses.dataclass(frozen=True)
class Part:
    """One network of a checkpoint.

    Attributes:
        name: "teacher", "student" or "discriminator": the `part` of `load`.
        kind: "madry_cifar", "madry_mnist", "igam_finetuned_teacher",
            "tiny_imagenet_teacher", "igam_student" or "igam_discriminator".
        image_shape: (height, width, channels) of its input, in [0, 1].
        heads: ((head, number of classes), ...): `head` of `load`.
        depth, width: of a Wide-ResNet, else None.
        normalization: of its input, as in `igam_tf.models.wide_resnet`.
        channels: of each convolution (units of each layer) of the other networks.
        hidden_units: of the MNIST net, else None.
        dense: whether it is the fully connected discriminator.
        moving_statistics: False if the file holds no batch statistics: the authors'
            finetuned teachers, whose saver held trainable variables only.
        note: a quirk of the original code to know about, or "".
    """

    name: str
    kind: str
    image_shape: tuple[int, int, int]
    heads: tuple[tuple[str, int], ...]
    depth: int | None = None
    width: int | None = None
    normalization: str = "none"
    channels: tuple[int, ...] = ()
    hidden_units: int | None = None
    dense: bool = False
    moving_statistics: bool = True
    note: str = ""

    @property
    def num_classes(self) -> int:
        """Classes of the head that `load` takes when it is not told."""
        return self.heads[-1][1]

    def head(self, head: str | None = None) -> tuple[str, int]:
        """The TF1 name and the number of classes of a head ("source", "target")."""
        heads = dict(self.heads)
        head = self.heads[-1][0] if head is None else head
        if head not in heads:
            raise ValueError(
                f"head={head!r}: the {self.name} of this checkpoint has "
                f"{' and '.join(map(repr, heads))}."
            )
        return ("logit" if head == "source" else names.TARGET_HEAD), heads[head]

    def viewed(
        self,
        *,
        normalization: str | None = None,
        image_shape: tuple[int, int, int] | None = None,
    ) -> "Part":
        """The same weights with another input; None keeps what it is."""
        if self.depth is None and normalization not in (None, self.normalization):
            raise ValueError(
                f"normalization={normalization!r}: the {self.name} of this checkpoint "
                f"({self.kind}) has {self.normalization!r} and no other; leave it out. "
                "For images of another scale: igam_tf.models.with_pixels."
            )
        return dataclasses.replace(
            self,
            normalization=normalization or self.normalization,
            image_shape=self._shape(image_shape),
        )

    def _shape(self, given):
        """The shape of images that is asked for, as three whole numbers."""
        if given is None:
            return self.image_shape
        sizes = tuple(given) if isinstance(given, Iterable) else ()
        whole = all(isinstance(n, numbers.Integral) and n > 0 for n in sizes)
        if not whole or len(sizes) != 3 or sizes[-1] != self.image_shape[-1]:
            raise ValueError(
                f"image_shape={given}: expected (height, width, "
                f"{self.image_shape[-1]}), whole numbers of 1 or more."
            )
        return tuple(map(int, sizes))

    def rows(self, head: str | None = None) -> list[names.Row]:
        """The `names.Row`s of this network with that head."""
        tf1_head, num_classes = self.head(head)
        if self.kind == "madry_mnist":
            return names.mnist_rows(
                **self._sizes(),
                num_classes=num_classes,
                image_shape=self.image_shape,
            )
        if self.kind == "igam_discriminator":
            return names.discriminator_rows(
                channels=self.channels, image_shape=self.image_shape, dense=self.dense
            )
        return names.wide_resnet_rows(
            **self._sizes(),
            num_classes=num_classes,
            num_channels=self.image_shape[-1],
            scope=names.STUDENT_SCOPE if self.name == "student" else "",
            head=tf1_head,
        )

    def build(self, head: str | None = None, **kwargs) -> keras.Model:
        """A new network of this architecture; `kwargs` go to its function."""
        if self.kind == "madry_mnist":
            return mnist_cnn(
                num_classes=self.head(head)[1],
                image_shape=self.image_shape,
                **self._sizes(),
                **kwargs,
            )
        if self.dense:
            return dense_discriminator(
                gradient_shape=self.image_shape, units=self.channels, **kwargs
            )
        if self.kind == "igam_discriminator":
            return discriminator(
                gradient_shape=self.image_shape, channels=self.channels, **kwargs
            )
        return wide_resnet(
            **self._sizes(),
            num_classes=self.head(head)[1],
            image_shape=self.image_shape,
            normalization=self.normalization,
            **kwargs,
        )

    def _sizes(self) -> dict[str, typing.Any]:
        """The sizes of its layers, as `names` and `igam_tf.models` call them."""
        if self.kind == "madry_mnist":
            return {"filters": self.channels, "hidden_units": self.hidden_units}
        return {"depth": self.depth, "width": self.width}

    def __str__(self) -> str:
        height, width, channels = self.image_shape
        heads = ", ".join(f"{n} classes ({head})" for head, n in self.heads)
        if self.depth:
            network = f"Wide-ResNet {self.depth}-{self.width}"
        else:
            layers = "units" if self.dense else "channels"
            network = f"network of {'-'.join(map(str, self.channels))} {layers}"
        lines = [f"{self.name}: {network} ({self.kind}), {heads}"]
        lines.append(
            f"  input {height}x{width}x{channels}, normalization {self.normalization}"
        )
        if not self.moving_statistics:
            lines.append("  no batch statistics in this file (see moving_statistics)")
        return "\n".join(lines + ([f"  note: {self.note}"] if self.note else []))
