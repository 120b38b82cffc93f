"""Stores a card inside a `.keras` file, which Keras loads as before.

A `.keras` file is a zip archive, and the card is the archive's comment: JSON in the
last bytes of the file. No member is added or changed, so that plain Keras reads exactly
what it read before; with a fourth member it would unpack the whole archive to the disk
at every load, looking for assets (`saving_lib`, Keras 3.15). A file of its own beside
the model would stay behind when the model is copied. A model that is saved again has
no card, as it should: it may be another one.
"""

import json
import os
import pathlib
import shutil
import zipfile

from igam_tf import files

# What the zip format allows.
_MOST_BYTES = 65_535
_KIND = "igam_tf model card"


def attach_card(path: str | os.PathLike, card: dict) -> None:
    """Writes a card into a `.keras` file, in place of the one it has.

    The file is replaced as a whole, and keeps its time of change, which is that of the
    weights. A file that holds this very card is left alone.

    Args:
        path: `.keras` file.
        card: dict that is JSON as it stands.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no `.keras` file, or the card is larger than 64 KiB.
    """
    # A link keeps pointing to the one file.
    path = pathlib.Path(path).resolve()
    comment = _encoded(card)
    if len(comment) > _MOST_BYTES:
        raise ValueError(
            f"the card of {path} has {len(comment)} bytes: expected at most "
            f"{_MOST_BYTES}, which a zip archive can hold; leave out attacks."
        )
    if _comment(path) == comment:
        return
    with files.replacing(path) as temporary:
        # With the file's times.
        shutil.copy2(path, temporary)
        times = temporary.stat()
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.comment = comment
        os.utime(temporary, ns=(times.st_atime_ns, times.st_mtime_ns))


def fitting(card: dict) -> dict:
    """A card that a file can hold: without its classes' names, where it is too large.

    Args:
        card: dict as of `make_card`.

    Returns:
        The card itself, or one whose "task" has no "classes", and "classes_left_out".
    """
    if len(_encoded(card)) <= _MOST_BYTES:
        return card
    task = {**card["task"], "classes": [], "classes_left_out": True}
    return {**card, "task": task}


def read_card(path: str | os.PathLike) -> dict:
    """The card of a `.keras` file, without loading the model.

    Args:
        path: `.keras` file.

    Returns:
        Dict, see `make_card`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no `.keras` file, or has no card.
    """
    comment = _comment(path)
    try:
        card = json.loads(comment or b"{}")
    except ValueError:
        card = {}
    if not isinstance(card, dict) or card.pop("kind", None) != _KIND:
        raise ValueError(
            f"{path} has no card: expected a student.keras of a finished run.py (a "
            "model that was saved again has none); keras.models.load_model loads it "
            "without one."
        )
    return card


def _encoded(card):
    """The comment of a card: bytes."""
    text = json.dumps(
        {"kind": _KIND, **card}, ensure_ascii=False, separators=(",", ":")
    )
    # Names of files may hold halves of pairs, as JSON's own reader of bytes takes them.
    return text.encode(errors="surrogatepass")


def _comment(path):
    """Comment of the archive: bytes."""
    path = pathlib.Path(path)
    if path.is_dir():
        raise ValueError(
            f"{path} is a folder: expected a .keras file, such as "
            f"{path / 'student.keras'}."
        )
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}: expected a .keras file.")
    if not files.is_archive(path):
        raise ValueError(
            f"{path} is no .keras file, or a damaged one: expected a model written by "
            "model.save('NAME.keras')."
        )
    with zipfile.ZipFile(path) as archive:
        return archive.comment
