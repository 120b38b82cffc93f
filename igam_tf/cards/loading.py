"""Loads a student with its card, and writes a student's card."""

import os
import pathlib

import keras

from igam_tf import files
from igam_tf.cards.archive import attach_card, fitting, read_card
from igam_tf.cards.contents import make_card
from igam_tf.cards.hub import PREFIX, fetch
from igam_tf.cards.text import format_card
from igam_tf.models.loading import load_keras


def load(path: str | os.PathLike) -> tuple[keras.Model, dict]:
    """Loads a student and its card.

    `keras.models.load_model(path, compile=False)` loads the same model where this
    package is not installed.

    Args:
        path: `.keras` file of a row of a finished `run.py`; or "hf://OWNER/NAME", a
            repository of the Hugging Face hub that `igam-tf share` made, with
            "@REVISION" if wanted.

    Returns:
        Tuple (keras.Model from images in [0, 1] to logits, dict as of `make_card`).

    Raises:
        FileNotFoundError: if there is no such file.
        ImportError: if the hub's package is not installed.
        OSError: if the hub's file cannot be fetched.
        ValueError: if it is no `.keras` file, or has no card.
    """
    if str(path).startswith(PREFIX):
        path = fetch(str(path))
    path = pathlib.Path(path).expanduser()
    card = read_card(path)
    return load_keras(path), card


def write_card(
    path: str | os.PathLike, results: dict, row: str, model: keras.Model
) -> pathlib.Path:
    """Puts the card of a row into its `.keras` file, and as Markdown beside it.

    Names of classes that would make it too large for the file stand in the Markdown.

    Args:
        path: the row's `student.keras`; `student.card.md` is written beside it.
        results: dict as of `results.json`.
        row: name of the row.
        model: the model of that file.

    Returns:
        Path of the Markdown file.

    Raises:
        FileNotFoundError, ValueError: as `attach_card` and `make_card`.
    """
    path = pathlib.Path(path)
    card = make_card(results, row, model)
    attach_card(path, fitting(card))
    text = path.with_name(f"{path.stem}.card.md")
    files.write_text(text, format_card(card, path.name))
    return text
