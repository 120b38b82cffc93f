"""One command with four names, and what it refuses at once."""

import pathlib
import re
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
    assert capsys.readouterr().out == run_help.short()
    main.main(["run", "--helpfull"])
    assert capsys.readouterr().out == run_help.stored()


def test_help_explains_a_dozen_flags_and_names_all():
    text = run_help.short()
    explained, index = text.split("All flags, by stage")
    assert len(re.findall("^  --", explained, re.M)) == len(run_help._FIRST) == 12
    assert all(f"  --{name}\n" in explained for name in run_help._FIRST)
    assert set(run_help.known()) <= set(re.findall(r"\w+", index))
    stages = re.findall(r"^  (\w+) ", index, re.M)
    assert stages[:4] == ["recipe", "table", "data", "teacher"]
    assert max(map(len, text.splitlines())) <= 88


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
