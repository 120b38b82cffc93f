"""One command with four names, and what it refuses at once."""

import pathlib
import runpy

import pytest

from igam_tf.cli import main, run_help

pytestmark = pytest.mark.fast


def test_usage_names_the_commands(capsys):
    assert main.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in ("run", "evaluate", "report"))
    assert main.main([]) == main.main(["train"]) == 2
    assert "usage: igam-tf COMMAND" in capsys.readouterr().err


def test_a_command_gets_its_arguments(capsys):
    main.main(["run", "--help"])
    assert capsys.readouterr().out == run_help.stored()


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--sorce=x", "--source"),
        ("--noclean", "no such flag"),
        ("-epoch=3", "--epochs"),
    ],
)
def test_unknown_flags_are_refused_by_their_name(argument, message):
    with pytest.raises(ValueError, match=message):
        run_help.check_names(["--source=mnist", argument])


def test_known_flags_are_taken():
    run_help.check_names(
        ["--nodownload", "--download", "-epochs=3", "--flagfile=x", "x"]
    )


def test_run_py_parses_for_other_programs():
    path = pathlib.Path(__file__).resolve().parents[2] / "run.py"
    found = runpy.run_path(str(path))["parse"](["--source=mnist", "--target=cifar10"])
    assert found[0].data.target == "cifar10" and found[1] == []
