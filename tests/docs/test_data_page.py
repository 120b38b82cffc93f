"""The page about data names flags and recipes that exist, and all of them."""

import pathlib
import re

import pytest

from igam_tf.cli import evaluate, run_help
from igam_tf.data.own import names, tables
from igam_tf.data.own.options import AUGMENTATIONS
from igam_tf.experiment.settings import OWN_DATA

pytestmark = pytest.mark.fast
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")


def test_flags_exist_and_those_of_own_data_are_explained():
    named = set(re.findall(r"(?<![-\w])--(\w+)", PAGE))
    known = set(re.findall(r"--(?:\[no\])?(\w+)", run_help.stored()))
    known |= set(vars(evaluate._parser().parse_args(["m", "--dataset=digits"])))
    assert named <= {*known, "nodownload"}
    assert named >= set(OWN_DATA)


def test_default_recipes_are_those_of_the_folder():
    files = {path.stem for path in (REPOSITORY / "flags" / "defaults").glob("*.cfg")}
    assert set(re.findall(r"`((?:source|target)_(?:\d+px|few))`", PAGE)) == files


def test_columns_endings_and_augmentations_are_told():
    for word in ("path", "label", "split", *tables.PATHS[1:4], *tables.LABELS[1:2]):
        assert f"`{word}`" in PAGE
    for ending in (*names.ARRAYS, *names.TABLES):
        assert ending in PAGE
    for name in AUGMENTATIONS:
        assert name in PAGE or name == "auto"
