"""Flag files: what stands in one file of a table only, dry runs, parts of a value."""

import pathlib

import pytest

from igam_tf.cli import recipes

pytestmark = pytest.mark.fast
FLAGS = pathlib.Path(__file__).resolve().parents[2] / "flags"
ROW = "--row=Mine: mnist_to_cifar10 --methods=igam"


@pytest.mark.parametrize(
    "arguments, flag",
    [
        (["--flagfile=table1", ROW], "--row on the command line"),
        (["--flagfile=table1", "--paper=1 2"], "--paper on the command line"),
        (["--flagfile=table1", "--columns", "clean"], "--columns on the command line"),
        (["--flagfile=quickstart", "--table=Mine"], "--table on the command line"),
        (["--source=mnist", "--target=cifar10", ROW], "--row on the command line"),
        (["--flagfile=table1", "--flagfile=table3"], "--row.* of --flagfile=.*3.cfg"),
        (["--flagfile=quickstart", "--flagfile=MINE", "--epochs", "1"], "MINE"),
    ],
)
def test_what_makes_a_table_stands_in_one_file(tmp_path, arguments, flag):
    """Anywhere else it was read, and did nothing."""
    mine = tmp_path / "mine.cfg"
    mine.write_text("--columns=clean\n")
    arguments = [a.replace("MINE", str(mine)) for a in arguments]
    message = flag.replace("MINE", r"--columns of --flagfile=.*mine.cfg")
    with pytest.raises(ValueError, match=f"{message}: expected in the flag file of"):
        recipes.parse(arguments)


def test_a_dry_run_may_be_asked_for_in_a_file(tmp_path):
    """It trained for real."""
    mine, around = tmp_path / "mine.cfg", tmp_path / "around.cfg"
    mine.write_text("--dry_run\n--epochs=2\n")
    around.write_text(f"--flagfile={mine}\n")
    recipe = ["--flagfile", str(FLAGS / "quickstart.cfg")]
    for files in ([f"--flagfile={mine}"], ["--flagfile", str(around)], ["--dry_run"]):
        assert recipes.is_dry_run([*recipe, *files])
    assert not recipes.is_dry_run([*recipe, f"--flagfile={mine}", "--nodry_run"])
    assert not recipes.is_dry_run(["--flagfile=quickstart", "--width=2"])


def test_parts_of_a_value_keep_all_their_digits(tmp_path):
    path = tmp_path / "table.cfg"
    path.write_text(
        "--table=Mine\n--columns=clean\n--eps=8/255\n--train_examples=12345678\n"
        "--row=Half: mnist_to_cifar10 --methods=igam --eps=0.5x\n"
        "--row=Tenth: mnist_to_cifar10 --methods=pgd --train_examples=0.1x\n"
    )
    table, _ = recipes.parse([f"--flagfile={path}"])
    half, tenth = (row.experiment for row in table.rows)
    assert half.attack.eps == 0.5 * (8 / 255)
    assert tenth.data.train_examples == 1234568
