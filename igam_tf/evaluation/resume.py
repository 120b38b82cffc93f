"""Files from which a killed evaluation goes on."""

import contextlib
import hashlib
import os
import pathlib
from collections.abc import Iterator

import keras
import numpy as np

from igam_tf import files, locks
from igam_tf.attacks.identity import model_digest


class Checkpoint:
    """What an evaluation has found, kept after every batch.

    A file of another evaluation (other model, weights, attacks or settings) is not
    read, and overwritten.

    Args:
        folder: folder, which is made if need be, or None to keep nothing. AutoAttack
            keeps its own state there, within a portion of the data.
        model: the Keras model.
        settings: everything else that the result depends on, as text.

    Attributes:
        keeps: whether there is a folder.
        panel: what the panel found, ready for JSON, or None.
        counted: state of the `Counter` after the last batch, or None.
        corruptions: what was counted of corrupted images, or None.
    """

    def __init__(
        self, folder: str | os.PathLike | None, model: keras.Model, settings: str
    ) -> None:
        self._path = None
        if folder is not None:
            folder = pathlib.Path(folder)
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OSError(
                    f"checkpoint_dir={folder} cannot be made ({error.strerror}); pass "
                    "a folder that you may write to, or None."
                ) from error
            self._path = folder / "evaluation-so-far.json"
        self._data, self._seen = hashlib.sha256(), 0
        self.panel: dict | None = None
        self.counted: dict | None = None
        self.corruptions: dict | None = None
        self._counted_data: str | None = None
        self._earlier = 0
        if self._path:
            self._fingerprint = f"{model_digest(model)} {_digest(settings)}"

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps other processes out of the folder for the time of a block.

        Raises:
            ValueError: if another evaluation is at work there.
        """
        if not self._path:
            yield
            return
        folder = self._path.parent
        with locks.held(folder, flag="checkpoint_dir"):
            # What another process finished meanwhile, and what one left half written.
            for left in folder.glob(f"{files.PREFIX}*"):
                left.unlink(missing_ok=True)
            self._load()
            yield
        with contextlib.suppress(OSError):
            # Only if it is empty.
            folder.rmdir()

    @property
    def keeps(self) -> bool:
        return self._path is not None

    def counted_before(self, images: np.ndarray, labels: np.ndarray) -> bool:
        """Whether an earlier evaluation has counted this batch.

        Raises:
            ValueError: if the batches so far are not those that it counted.
        """
        if not self._path:
            return False
        for array in (images, labels):
            self._data.update(np.ascontiguousarray(array).data)
        if self._seen >= self._earlier:
            return False
        self._seen += len(images)
        if self._seen >= self._earlier and self._data.hexdigest() != self._counted_data:
            raise ValueError(
                f"{self._path} holds the beginning of an evaluation of this model on "
                "other images, or on the same in another order or batch size; delete "
                "it to start anew, and do not shuffle the data."
            )
        return True

    def save(self) -> None:
        """Writes what was found so far."""
        if self._path:
            state = {
                "fingerprint": self._fingerprint,
                "panel": self.panel,
                "counted": self.counted,
                "data": self._counted_data,
                "corruptions": self.corruptions,
            }
            files.write_json(self._path, state)

    def save_counted(self, counted: dict) -> None:
        """Writes the state of a `Counter` after one more batch."""
        if self._path:
            self.counted, self._counted_data = counted, self._data.hexdigest()
            self.save()
            # What they tell of this portion is counted now.
            for finished in self._path.parent.glob("autoattack-*.npz"):
                finished.unlink()

    def save_corruptions(self, counted: dict) -> None:
        """Writes what was counted of corrupted images after one more portion."""
        self.corruptions = counted
        self.save()

    def check_all_seen(self) -> None:
        """Raises ValueError if the data ended before what was counted earlier."""
        if self._seen < self._earlier:
            raise ValueError(
                f"{self._path} holds {self._earlier} images of an evaluation of this "
                f"model, and the data has {self._seen}: expected the same images; "
                "delete it to start anew."
            )

    def remove(self) -> None:
        """Removes the state of a finished evaluation."""
        if self._path:
            self._path.unlink(missing_ok=True)

    def _load(self):
        way_out = "delete it to start that evaluation anew"
        stored = files.read_json(self._path, way_out=way_out)
        if stored is None or stored.get("fingerprint") != self._fingerprint:
            return
        try:
            self.panel, self.counted = stored["panel"], stored["counted"]
            self._counted_data = stored["data"]
            self.corruptions = stored.get("corruptions")
            self._earlier = int(self.counted["num_examples"]) if self.counted else 0
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self._path} is damaged ({type(error).__name__} {error}): {way_out}."
            ) from error


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()
