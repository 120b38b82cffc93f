"""A search over settings: its tries, what it chooses, on which images."""

import json

import pytest

from tools import search, search_table, seeds

pytestmark = pytest.mark.fast

FLAGFILE = f"--flagfile={seeds.REPOSITORY / 'flags' / 'quickstart.cfg'}"
# Stands in for run.py: as accurate as the weight of its flags, as run.py marks it.
STUB = """
import json, pathlib, sys

given = dict(a.lstrip("-").split("=", 1) for a in sys.argv[1:])
folder = pathlib.Path(given["run_dir"])
with open(folder.parent / "calls.jsonl", "a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
weight = float(given["difference_weight"])
if weight == 7:
    sys.exit("no luck")
accuracies = {"clean": 1 - weight / 10, "pgd20": weight / 10}
evaluation = {
    "attacks": {name: {"accuracy": value} for name, value in accuracies.items()},
    "threat_model": "Linf", "eps": 0.1, "step_size": 0.02, "num_examples": 50,
    "panel": {"warns": ["loss_function"] if weight == 9 else []},
}
settings = {}
if "held_out_fraction" in given:
    settings["held_out_fraction"] = float(given["held_out_fraction"])
    evaluation.update(settings)
rows = {"igam": {"label": "IGAM", "training_seconds": 2.0, "evaluation": evaluation}}
result = {"title": "a -> b", "rows": rows, "settings": settings}
folder.mkdir(parents=True, exist_ok=True)
(folder / "results.json").write_text(json.dumps(result))
"""


@pytest.fixture(name="searched")
def _searched(tmp_path, monkeypatch):
    """A function of arguments to (record, table, calls of run.py so far)."""
    (tmp_path / "stub.py").write_text(STUB)
    monkeypatch.setattr(seeds, "RUN", tmp_path / "stub.py")
    monkeypatch.setattr(seeds, "POLL_SECONDS", 0.01)

    def run(*arguments, flags=()):
        path, runs = tmp_path / "search.json", tmp_path / "runs"
        search.main([f"--runs={runs}", f"--json={path}", *arguments, "--", FLAGFILE,
                     "--methods=igam", *flags])  # fmt: skip
        calls = (runs / "calls.jsonl").read_text().splitlines()
        table = path.with_suffix(".md").read_text()
        return json.loads(path.read_text()), table, list(map(json.loads, calls))

    return run


def test_every_try_is_on_held_out_images_and_the_best_is_chosen(searched):
    grid = ["--grid", "difference_weight=2,7,6,9"]
    record, table, calls = searched(*grid, flags=("--data_dir=/secret",))
    assert len(calls) == 4
    assert all("--held_out_fraction=0.1" in call for call in calls)
    # One failed, and of the best one the panel warns.
    assert (
        record["chosen"] == "--difference_weight=6" and record["chosen_by"] == "pgd20"
    )
    assert "50 held-out training images (fraction 0.1)" in table
    assert "No test image was used." in table and "secret" not in json.dumps(record)
    lines = {
        line.split("`")[1]: line
        for line in table.splitlines()
        if line.startswith("| `")
    }
    assert "| 40.0 | 60.0" in " ".join(lines["--difference_weight=6"].split())
    for weight, remark in ((6, "chosen"), (7, "failed"), (9, "panel: loss_function")):
        assert remark in lines[f"--difference_weight={weight}"]
    # Finished tries are read, and the one that failed is tried again.
    _, _, calls = searched(*grid, "--clean_at_least=70", flags=("--data_dir=/secret",))
    assert len(calls) == 5 and "--difference_weight=7" in calls[-1]
    record, _, _ = searched(*grid, "--clean_at_least=70")
    assert record["chosen"] == "--difference_weight=2"


def test_results_of_test_images_are_refused(searched, tmp_path, monkeypatch):
    (tmp_path / "stub.py").write_text(STUB.replace('"held_out_fraction" in', '"" in'))
    with pytest.raises(SystemExit, match="on which nothing may be chosen"):
        searched("--grid", "difference_weight=2")


@pytest.mark.parametrize("flags, message", [
    (["--held_out_fraction=0"], "it is set here"),
    (["--run_dir=x"], "it is set here"),
    (["--width=x"], "width"),
    (["--methods=standard"], "--row=igam"),
    ([f"--flagfile={seeds.REPOSITORY / 'flags' / 'table1.cfg'}"], "a table of several"),
])  # fmt: skip
def test_wrong_flags_are_refused_before_the_first_try(flags, message, tmp_path):
    arguments = [f"--runs={tmp_path}", f"--json={tmp_path / 'x.json'}",
                 "--grid", "difference_weight=1"]  # fmt: skip
    with pytest.raises(SystemExit, match=message):
        search.main([*arguments, "--", FLAGFILE, *flags])
    for choose, message in (("transfer", "without controls"), ("pgd7", "an attack")):
        with pytest.raises(SystemExit, match=message):
            search.main([*arguments, f"--choose={choose}", "--", FLAGFILE])
    assert not list(tmp_path.iterdir())


def test_a_budget_draws_from_the_grid_after_the_variants():
    arguments = ["--runs=r", "--json=j", "--tries=4", "--grid", "epochs=1,2,3",
                 "--grid", "width=1,2", "--variant", "GELU=--activation=gelu",
                 "--", FLAGFILE]  # fmt: skip
    args, flags = search.parse(arguments)
    jobs = search.plan(args, flags)
    names = [job.variant for job in jobs]
    assert names[0] == "GELU: --activation=gelu"
    possible = {f"--epochs={e} --width={w}" for e in (1, 2, 3) for w in (1, 2)}
    assert len(set(names[1:])) == 3 and set(names[1:]) <= possible
    assert [job.variant for job in search.plan(args, flags)] == names
    args.seed = 1
    assert [job.variant for job in search.plan(args, flags)] != names
    # The folder is that of the flags, whatever else is tried.
    args.tries = 20
    folders = {job.variant: job.folder for job in search.plan(args, flags)}
    assert len(set(folders.values())) == 7
    assert all(folders[job.variant] == job.folder for job in jobs)
    experiment = search.experiment_of(jobs[0])
    assert experiment.data.held_out_fraction == 0.1


def test_choosing_by_transfer():
    tries = [
        {"name": name, "attacks": {"pgd20": p}, "transfer": t, "warns": []}
        for name, p, t in (("a", 50.0, -1.0), ("b", 40.0, 2.5), ("c", 60.0, None))
    ]
    assert search_table.chosen(tries, "transfer", 0.0) == "b"
    assert search_table.chosen(tries, "pgd20", 0.0) == "c"
    assert search_table.chosen(tries, "autoattack", 0.0) is None
