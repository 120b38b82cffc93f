"""A table of the other papers' kind, run: radii, statistics, a start, a curve."""

import csv
import json

import pytest

from igam_tf import checkpoints
from igam_tf import experiment as experiments
from igam_tf.cli import recipes
from igam_tf.experiment.sharing import share_finished


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("papers")
    path = folder / "toys.cfg"
    path.write_text(
        "--table=Toys\n"
        "--columns=clean,pgd2@0.04,pgd2@linf:0.05,gradient_l1\n"
        "--attacks=clean,pgd2@0.04,pgd2@linf:0.05\n"
        "--statistics=gradient_l1,gradient_l1_robust\n"
        "--epoch_attack=pgd2@0.04\n"
        "--row=Vanilla: bases/pag_toy --methods=standard\n"
        "--paper=100 - 50 2.5\n"
        "--row=PAG, further: bases/pag_toy --methods=pag"
        " --student_checkpoint=row:vanilla\n"
        "--paper=\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("write_figures", "examples_of", "write_page"):
            patch.setattr(f"igam_tf.reports.{name}", lambda *_, **__: None)
        table, _ = recipes.parse([
            f"--flagfile={path}", "--size=tiny", "--train_examples=200",
            "--eval_examples=60", "--pag_per_class=20", f"--run_dir={folder / 'run'}",
        ])  # fmt: skip
        found = experiments.run_table(table)
    return folder / "run", {**found, "table": table}


def test_columns_have_their_balls_and_cells_the_papers_numbers(finished):
    folder, results = finished
    head, _, vanilla, further = [
        line.split(" | ") for line in (folder / "table.md").read_text().splitlines()
        if line.startswith("|")
    ][:4]  # fmt: skip
    assert [cell.strip() for cell in head[1:4]] == [
        "clean", "PGD-2, 0.04", "PGD-2, Linf 0.05",
    ]  # fmt: skip
    assert "(100.0, " in vanilla[1] and "(" not in vanilla[2] + "".join(further)
    attacks = results["rows"]["vanilla"]["evaluation"]["attacks"]
    # The step is in proportion to the radius; in another norm it is the default.
    for name, texts in {
        "pgd2@0.04": ("eps=0.04, step_size=0.002, ", "norm='l2'"),
        "pgd2@linf:0.05": ("eps=0.05, step_size=0.0125, ", "norm='linf'"),
    }.items():
        assert all(text in attacks[name]["attack"] for text in texts)


def test_statistics_stand_in_a_table_of_their_own(finished):
    folder, results = finished
    found = results["rows"]["vanilla"]["evaluation"]["statistics"]
    attacks = results["rows"]["vanilla"]["evaluation"]["attacks"]
    assert found["gradient_l1"]["num_images"] == 60
    robust = attacks["pgd2@0.04"]["num_correct"]
    assert found["gradient_l1_robust"]["num_images"] == robust
    text = (folder / "table.md").read_text()
    assert f"{found['gradient_l1']['mean']:.4g} (2.5)" in text


def test_a_row_starts_from_another_one(finished):
    folder, results = finished
    start = results["rows"]["vanilla"]["student"]
    settings = results["rows"]["pag-further"]["settings"]
    # By its name, wherever the table lies; what it is, its digest says.
    assert settings["student_checkpoint"] == "row:vanilla"
    record = results["rows"]["pag-further"]["student_weights"]
    assert checkpoints.digest(folder / start) in json.dumps(record)
    assert json.dumps(record).count("sha256") == 1


def test_every_epoch_is_attacked(finished):
    folder, results = finished
    for row in results["rows"].values():
        place = folder / row["student"]
        with open(place.with_name("history.csv"), newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 1
        under = float(rows[0]["test_pgd2@0.04_accuracy"])
        assert 0 <= under <= float(rows[0]["test_accuracy"])


def test_what_lacks_the_curve_is_trained_again(finished):
    folder, results = finished
    first, _ = results["table"].runs()[0]
    for attack, is_shared in (("pgd2@0.04", True), ("", True), ("pgd3", False)):
        beside = folder.parent / f"beside-{attack or 'none'}" / "run"
        share_finished(first.replace(epoch_attack=attack, run_dir=str(beside)))
        assert (beside / "standard" / "student.keras").exists() == is_shared
