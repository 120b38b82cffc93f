"""A small run of `fuzz_checkpoints.py`; the long one is run by hand."""

import json
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).with_name("fuzz_checkpoints.py")


def test_damaged_checkpoints_end_in_one_clear_error():
    command = [sys.executable, str(SCRIPT), "--cases", "120", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    report = json.loads(done.stdout)
    assert report["failures"] == []
    assert report["cases"] == 120 and done.returncode == 0
    assert report["outcomes"]["CheckpointError"] > 60
    assert len(report["mutations"]) == 11
