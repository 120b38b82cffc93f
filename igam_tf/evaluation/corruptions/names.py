"""The corruptions by name, and what an evaluation is asked for; needs no TensorFlow."""

import dataclasses
import numbers
import os
import pathlib
from collections.abc import Sequence

#: The fifteen whose mean is the benchmark's.
PAPER = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur",
    "motion_blur", "zoom_blur", "snow", "frost", "fog", "brightness", "contrast",
    "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
#: Published beside them, for the choice of hyper-parameters.
EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
#: They need photographs of frost, or programs that we do not depend on.
NOT_MADE = ("snow", "frost", "spatter")
SEVERITIES = (1, 2, 3, 4, 5)
ALL = "all"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corruptions:
    """Which corrupted images a model is evaluated on.

    Args:
        kinds: names of corruptions; () for all of the paper's fifteen that can be had.
        folder: folder of CIFAR-10-C or CIFAR-100-C, one NAME.npy a corruption; None to
            make corrupted images of the test images.
        severities: numbers from 1 to 5.

    Raises:
        ValueError: if a name or severity is unknown, or cannot be made.
        FileNotFoundError: if there is no such folder, or no file of a corruption.
    """

    kinds: tuple[str, ...] = ()
    folder: str | None = None
    severities: tuple[int, ...] = SEVERITIES

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(self.kinds))
        object.__setattr__(self, "severities", tuple(self.severities))
        _check_severities(self.severities)
        known = PAPER + EXTRA
        for kind in self.kinds:
            if kind not in known:
                raise ValueError(
                    f"corruption {kind!r}: expected {ALL!r}, a folder of .npy files, "
                    f"or some of {', '.join(known)}."
                )
            if self.folder is None and kind in NOT_MADE:
                raise ValueError(
                    f"corruption {kind!r} is not made here: expected the folder of "
                    "CIFAR-10-C or CIFAR-100-C, or others than "
                    f"{', '.join(NOT_MADE)}."
                )
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError(f"corruptions {self.kinds}: expected each name once.")
        if self.folder is not None:
            self._check_folder()

    @classmethod
    def parse(
        cls,
        text: "str | Sequence[str] | Corruptions",
        severities: Sequence[int] = SEVERITIES,
    ) -> "Corruptions":
        """What text on a command line asks for.

        Args:
            text: "all", names separated by commas, a folder, or a folder and names; a
                list of these; or `Corruptions`, which are returned.
            severities: numbers from 1 to 5, unless `text` are `Corruptions`.

        Raises:
            ValueError, FileNotFoundError: as the class.
        """
        if isinstance(text, Corruptions):
            return text
        if isinstance(text, (str, os.PathLike)):
            text = os.fspath(text).split(",")
        parts = [os.fspath(part).strip() for part in text]
        kinds = [part for part in parts if part in PAPER + EXTRA]
        others = [part for part in parts if part not in kinds]
        folders = [part for part in others if part != ALL]
        if len(folders) > 1 or (ALL in others and (kinds or folders)) or not parts:
            raise ValueError(
                f"corruptions {','.join(parts)!r}: expected {ALL!r}, one folder of "
                f".npy files, or names among {', '.join(PAPER + EXTRA)}."
            )
        if folders and os.sep not in folders[0] and not os.path.exists(folders[0]):
            # More likely a name with a mistake in it than a folder.
            kinds, folders = folders, []
        return cls(
            kinds=tuple(kinds),
            folder=folders[0] if folders else None,
            severities=tuple(severities),
        )

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names of the corruptions that are evaluated."""
        if self.kinds:
            return self.kinds
        if self.folder is None:
            return tuple(kind for kind in PAPER if kind not in NOT_MADE)
        return tuple(kind for kind in PAPER if self.file(kind).exists())

    def file(self, kind: str) -> pathlib.Path:
        """The file of a corruption in the folder."""
        return pathlib.Path(self.folder or ".") / f"{kind}.npy"

    def _check_folder(self):
        if not pathlib.Path(self.folder or ".").is_dir():
            raise FileNotFoundError(
                f"corruptions {self.folder}: there is no such folder; expected that of "
                "CIFAR-10-C or CIFAR-100-C, unpacked (zenodo.org/records/2535967 and "
                "3555552), with labels.npy."
            )
        wanted = [self.file(kind) for kind in self.kinds] + [self.file("labels")]
        missing = [path.name for path in wanted if not path.exists()]
        if missing or not self.chosen:
            raise FileNotFoundError(
                f"corruptions {self.folder}: {', '.join(missing) or 'files of images'} "
                "missing; expected NAME.npy for each corruption, and labels.npy, as in "
                "CIFAR-10-C."
            )


def _check_severities(severities):
    whole = all(
        isinstance(s, numbers.Integral) and not isinstance(s, bool) for s in severities
    )
    if not whole or not severities or not set(severities) <= set(SEVERITIES):
        raise ValueError(
            f"severities {severities}: expected whole numbers from 1 to 5, as in 1,3,5."
        )
    if len(set(severities)) < len(severities):
        raise ValueError(f"severities {severities}: expected each number once.")
