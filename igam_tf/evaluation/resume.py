"""Files from which a killed evaluation goes on."""

import hashlib
import json
import os
import pathlib

import numpy as np

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
    """

    def __init__(self, folder, model, settings):
        self._path = None
        if folder is not None:
            folder = pathlib.Path(folder)
            folder.mkdir(parents=True, exist_ok=True)
            self._path = folder / "evaluation-so-far.json"
        self._data, self._seen = hashlib.sha256(), 0
        self.panel = self.counted = self._counted_data = None
        self._earlier = 0
        if self._path:
            self._fingerprint = f"{model_digest(model)} {_digest(settings)}"
            self._load()

    @property
    def keeps(self):
        return self._path is not None

    def counted_before(self, images, labels):
        """Whether an earlier evaluation has counted this batch.

        Raises:
            ValueError: if the batches so far are not those that it counted.
        """
        if not self._path:
            return False
        for array in (images, labels):
            self._data.update(np.ascontiguousarray(array))
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

    def save(self):
        """Writes what was found so far."""
        if self._path:
            state = {
                "fingerprint": self._fingerprint,
                "panel": self.panel,
                "counted": self.counted,
                "data": self._counted_data,
            }
            write_json(self._path, state)

    def save_counted(self, counted):
        """Writes the state of a `Counter` after one more batch."""
        if self._path:
            self.counted, self._counted_data = counted, self._data.hexdigest()
            self.save()
            # What they tell of this portion is counted now.
            for finished in self._path.parent.glob("autoattack-*.npz"):
                finished.unlink()

    def check_all_seen(self):
        """Raises ValueError if the data ended before what was counted earlier."""
        if self._seen < self._earlier:
            raise ValueError(
                f"{self._path} holds {self._earlier} images of an evaluation of this "
                f"model, and the data has {self._seen}: expected the same images; "
                "delete it to start anew."
            )

    def remove(self):
        """Removes the files of a finished evaluation, and the folder if it is empty."""
        if self._path:
            self._path.unlink(missing_ok=True)
            if not any(self._path.parent.iterdir()):
                self._path.parent.rmdir()

    def _load(self):
        try:
            stored = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return
        if stored["fingerprint"] == self._fingerprint:
            self.panel, self.counted = stored["panel"], stored["counted"]
            self._counted_data = stored["data"]
            self._earlier = self.counted["num_examples"] if self.counted else 0


def write_json(path, value):
    """Writes JSON to a temporary name and renames it: whole, or not at all."""
    path = pathlib.Path(path)
    temporary = path.with_name(f"incomplete-{path.name}")
    temporary.write_text(json.dumps(value, indent=1) + "\n")
    os.replace(temporary, path)


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()
