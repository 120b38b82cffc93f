"""`run.py` itself: how bad input ends, and how it starts anew."""

import sys

import pytest

from igam_tf import errors
from igam_tf.cli import recipes, run

pytestmark = pytest.mark.fast


def test_a_missing_package_is_one_sentence(monkeypatch):
    def lacking(arguments):
        raise ImportError("tensorboard is not installed: pip install igam_tf[x]")

    monkeypatch.setattr(run, "_run", lacking)
    with pytest.raises(SystemExit, match="^Error: tensorboard is not installed"):
        run.main(["--flagfile=quickstart"])


def test_a_lost_worker_starts_what_was_started(monkeypatch):
    """`python -X dev -m igam_tf.cli.main run`, whose folder is not on the path."""
    started = []

    def lost(arguments):
        raise errors.WorkerLostError("gone")

    command = ["python", "-X", "dev", "-m", "igam_tf.cli.main", "run", "--epochs=2"]
    monkeypatch.setattr(sys, "orig_argv", command)
    monkeypatch.setattr(sys, "argv", ["/igam_tf/cli/main.py", "run", "--epochs=2"])
    monkeypatch.setattr(run.os, "execv", lambda *given: started.append(given))
    monkeypatch.setenv(run.RESTARTS, "0")
    monkeypatch.setattr(run, "_run", lost)
    run.main(["--epochs=2"])
    assert started == [(sys.executable, [sys.executable, *command[1:]])]


def test_a_flag_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "mine.cfg"
    path.write_bytes(b"--epochs=3\n\xff\xfe")
    with pytest.raises(ValueError, match=r"mine\.cfg: no text in UTF-8"):
        recipes.parse([f"--flagfile={path}"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a: quickstart --attacks=2x", "attack '2x'"),
        ("a {epochs.x}: quickstart", r"label 'a \{epochs.x\}' cannot be filled in"),
        ("a {epochs[0]}: quickstart", "cannot be filled in"),
        ("a {methods:g}: quickstart", "cannot be filled in"),
        ("a {nothing}: quickstart", "cannot be filled in"),
    ],
)
def test_rows_of_a_table_that_cannot_be_read(row, message, tmp_path):
    path = tmp_path / "mine.cfg"
    path.write_text(f"--table=Mine\n--row={row}\n")
    with pytest.raises(ValueError, match=message):
        recipes.parse([f"--flagfile={path}"])
