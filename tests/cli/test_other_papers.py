"""Recipes of the gradient norm paper and of PAG: tables are planned at every size."""

import pathlib
import sys

import pytest

from igam_tf.cli import recipes
from igam_tf.experiment.plan import plan
from igam_tf.experiment.table import Table

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "data"))
import own_images

#: Table -> number of rows, and those with numbers of the paper.
TABLES = {
    "edgereg": (6, 4),
    "gradnorm_activations": (9, 0),
    "gradnorm_figure10": (4, 4),
    "gradnorm_figure2": (2, 2),
    "gradnorm_figure5": (12, 11),
    "gradnorm_table1": (6, 6),
    "gradnorm_table2": (3, 3),
    "gradnorm_table4": (10, 6),
    "methods_cifar10": (10, 0),
    "pag_cifar100": (6, 0),
    "pag_figure1": (5, 5),
    "pag_lambda": (5, 5),
    "pag_stl10": (6, 0),
    "pag_toy": (2, 2),
    "pag_vit": (6, 0),
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return str(own_images.folder(tmp_path_factory.mktemp("data") / "photographs"))


def table(name, *flags):
    found, changes = recipes.parse([f"--flagfile={name}", *flags])
    assert isinstance(found, Table) and changes == []
    return found


def planned(found):
    return [stage for inner, _ in found.runs() for stage in plan(inner)]


def test_every_table_of_these_papers_is_listed():
    stems = {path.stem for path in recipes.FLAGS_DIR.glob("*.cfg")}
    others = ("gradnorm", "edge", "methods", "pag")
    assert {s for s in stems if s.startswith(others)} == {*TABLES}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_planned(name, photographs):
    for size in ("paper", "tiny"):
        # TFDS' Imagenette is looked up where it is prepared or downloaded.
        is_elsewhere = (name, size) == ("gradnorm_activations", "paper")
        own = [f"--target={photographs}"] * is_elsewhere
        found = table(name, f"--size={size}", *own)
        rows, published = TABLES[name]
        assert len(found.rows) == rows
        assert sum(bool(row.paper) for row in found.rows) == published
        assert len(planned(found)) > 2 * rows
        for row in found.rows:
            experiment = row.experiment
            # Numbers of the paper stand beside something that is measured.
            measured = {*experiment.evaluation.attacks}
            measured |= {*experiment.evaluation.statistics}
            assert size == "tiny" or row.paper.keys() <= measured
            if size == "tiny" and name != "pag_toy":
                assert experiment.evaluation.num_examples == 20
                # Those of a standard training are thrice those of PGD.
                longest = 3 if name == "methods_cifar10" else 2
                assert experiment.training.epochs <= longest
                assert experiment.data.target in ("cifar10", "cifar100")


@pytest.mark.parametrize("size", ["small", "medium"])
def test_their_recipes_have_every_size(size, photographs):
    for path in (recipes.FLAGS_DIR / "bases").glob("*.cfg"):
        own = [f"--target={photographs}"] if path.stem.startswith("gradnorm") else []
        found, changes = recipes.parse([f"--flagfile={path}", f"--size={size}", *own])
        assert changes[0] == f"size {size}"
        assert plan(found)
        # The common sizes are those of another paper.
        assert (recipes.FLAGS_DIR / "sizes" / size / path.name).is_file()


def test_flags_of_a_table_are_those_of_its_rows_and_sizes_win():
    rows = {size: table("gradnorm_figure10", f"--size={size}").rows
            for size in ("paper", "tiny")}  # fmt: skip
    assert {r.experiment.run.epoch_attack for r in rows["paper"]} == {"pgd10@4/255"}
    assert rows["tiny"][0].experiment.evaluation.statistics[0] == "curvature"
    assert rows["paper"][0].experiment.evaluation.attacks == ("clean", "pgd10@4/255")
    assert "pgd5@1/255" in rows["tiny"][0].experiment.evaluation.attacks
    fgsm = rows["paper"][-1].experiment.settings_of("pgd")
    assert (fgsm.num_steps, fgsm.random_start) == (1, False)
    assert fgsm.step_size == pytest.approx(5 / 255)
    # And the command line over all.
    given = table(
        "gradnorm_figure10", "--size=tiny", "--attacks=clean", "--statistics="
    )
    assert given.rows[0].experiment.evaluation.attacks == ("clean",)


def test_weights_of_the_sweep_add_up_to_two_and_go_on_from_one_start():
    first, *others = table("gradnorm_figure5").rows
    assert not first.start and {row.start for row in others} == {"converged"}
    settings = [row.experiment.settings_of("gradient_norm") for row in others]
    assert len({s.weight for s in settings}) == 11
    for found in settings:
        assert found.cross_entropy_weight + found.weight == pytest.approx(2)
        assert found.start == "scratch"
    training = others[0].experiment.training
    assert (training.epochs, training.learning_rate) == (30, pytest.approx(2.6e-5))
    assert others[3].paper == {"clean": 77.94, "pgd10@4/255": 57.94,
                               "autoattack@4/255": 51.49}  # fmt: skip


def test_equal_rows_of_table_4_differ_in_their_activation_only():
    rows = {row.name: row.experiment for row in table("gradnorm_table4").rows}
    equal = [rows[f"gradnorm-{name}-equal"] for name in ("relu", "gelu", "silu")]
    assert len({one.replace(activation="") for one in equal}) == 1
    theirs = rows["gradnorm-gelu-theirs"].training
    assert (theirs.epochs, theirs.learning_rate) == (83, pytest.approx(6.25e-4))
    assert rows["natural-relu"].student.natural_epochs == 0
    assert equal[0].student.natural_epochs == 4


def test_what_was_not_found_is_an_empty_cell():
    sbg = table("pag_figure1").rows[-1]
    assert sbg.paper == {"autoattack@l2:0.5": 55.39, "autoattack@8/255": 23.97}
    assert sbg.experiment.settings_of("pag").weight == 10 * 2.0


@pytest.mark.parametrize("lines, message", [
    (["--row=A: bases/pag_toy --methods=pag --student_checkpoint=row:b",
      "--row=B: bases/pag_toy --methods=standard"], "row:b; expected an earlier row"),
    (["--columns=clean", "--row=A: bases/pag_toy --methods=pag", "--paper=many"],
     "'many' is no number"),
    (["--statistics=length", "--row=A: bases/pag_toy --methods=pag"],
     "--statistics: 'length' is unknown"),
    (["--statistics=gradient_l1_robust", "--attacks=clean",
      "--row=A: bases/pag_toy --methods=pag"], "expected an attack"),
    (["--epoch_attack=pgd", "--row=A: bases/pag_toy --methods=pag"],
     "--epoch_attack: attack 'pgd'"),
    (["--attacks=ddn@l1:1", "--row=A: bases/pag_toy --methods=pag"], "1' in L1:"),
    (["--attacks=pgd5@2", "--row=A: bases/pag_toy --methods=pag"], "at most 1.414"),
    (["--adversarial_step_size=1", "--row=A: bases/pag_toy --methods=pgd"],
     "--adversarial_step_size=1: expected at most twice"),
])  # fmt: skip
def test_tables_that_make_no_sense(tmp_path, lines, message):
    path = tmp_path / "table.cfg"
    path.write_text("\n".join(["--table=Mine", *lines]))
    with pytest.raises(ValueError, match=message):
        recipes.parse([f"--flagfile={path}"])


def test_only_a_row_of_a_table_starts_from_a_row():
    with pytest.raises(ValueError, match="only a row of a table"):
        recipes.parse(["--flagfile=bases/pag_toy", "--student_checkpoint=row:vanilla"])


def test_rows_without_a_teacher_need_no_source():
    experiment, changes = recipes.parse(["--target=cifar10", "--methods=standard,pgd"])
    assert changes[0] == "default recipe target_64px"
    assert [stage.name for stage in plan(experiment)][:2] == ["standard", "pgd"]
    with pytest.raises(ValueError, match="--source"):
        recipes.parse(["--target=cifar10", "--methods=standard,finetune"])
