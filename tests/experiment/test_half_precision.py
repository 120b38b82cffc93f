"""Half precision ends where float32 does: the quickstart, three seeds each.

Some ten minutes on 2 CPU cores, so only on request:

    IGAM_TF_LONG_TESTS=runs/precision python -m pytest \\
        tests/experiment/test_half_precision.py

The folder keeps the run folders: interrupted, the same command goes on.
"""

import json
import os
import pathlib

import numpy as np
import pytest

from tools import seeds

SEEDS = 3
HALVES = {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@pytest.fixture(scope="module")
def rows():
    """The rows of all runs, as `tools.seeds` writes them."""
    folder = os.environ.get("IGAM_TF_LONG_TESTS")
    if not folder:
        pytest.skip("some ten minutes: set IGAM_TF_LONG_TESTS to a folder for the runs")
    out = pathlib.Path(folder) / f"seeds-{SEEDS}.json"
    variants = [f"{name}=--precision={policy}" for name, policy in HALVES.items()]
    seeds.main(
        ["--flagfile=flags/quickstart.cfg", f"--seeds={SEEDS}", "--parallel=2"]
        + [f"--runs={folder}", f"--json={out}", "--variant=float32="]
        + [f"--variant={variant}" for variant in variants]
        + ["--", "--methods=standard,igam", "--attacks=clean,pgd20"]
        + ["--panel_examples=0"]
    )
    return json.loads(out.read_text())["rows"]


@pytest.mark.parametrize("attack", ["clean", "pgd20"])
@pytest.mark.parametrize("row", ["standard", "igam"])
@pytest.mark.parametrize("half", HALVES)
def test_within_one_point_of_float32(rows, half, row, attack):
    """The mean of three seeds.

    Rounding sends the training of IGAM elsewhere: for one seed PGD-20 differs by up to
    4 points either way. Each run has one thread, and repeats itself on one machine.
    """
    found, expected = (
        np.array(rows[f"{row}, {precision}"]["attacks"][attack]["values"])
        for precision in (half, "float32")
    )
    difference = found - expected
    assert abs(difference.mean()) <= 1.0, difference
