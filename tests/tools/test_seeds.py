"""Several seeds: the summary by hand-computed numbers, and runs without training."""

import json
import sys

import pytest

from tools import seeds, seeds_summary

FLAGFILE = f"--flagfile={seeds.REPOSITORY / 'flags' / 'quickstart.cfg'}"
# Stands in for run.py: records how it was called, and writes a result.
STUB = """
import json, os, pathlib, sys

given = dict(a.lstrip("-").split("=", 1) for a in sys.argv[1:])
folder = pathlib.Path(given["run_dir"])
folder.mkdir(parents=True, exist_ok=True)
with open(folder / "calls.jsonl", "a") as file:
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS")
    print(json.dumps({"arguments": sys.argv[1:], "threads": threads}), file=file)
if given["seed"] == given.get("fails_at"):
    sys.exit("no luck")
result = json.loads(pathlib.Path(__file__).with_name("result.json").read_text())
result["settings"]["seed"] = int(given["seed"])
(folder / "results.json").write_text(json.dumps(result))
"""
METHODS = {"standard": "Standard", "gradient_norm": "GradNorm"}


def evaluation(*, pgd20=0.5, warns=(), worst=None, **settings):
    accuracies = {"clean": 0.9, "pgd20": pgd20}
    checks = {name: {"sentence": f"{name} is wrong"} for name in warns}
    return {
        "attacks": {name: {"accuracy": value} for name, value in accuracies.items()},
        "worst_case": {"accuracy": pgd20 if worst is None else worst},
        "threat_model": "Linf",
        "eps": 8 / 255,
        "step_size": 2 / 255,
        "batch_norm": "inference",
        "num_examples": 200,
        "warnings": [f"{name} is wrong" for name in warns],
        "panel": {"warns": list(warns), "checks": checks},
        "settings": {"attacks": ["clean", "pgd20"], **settings},
    }


def result(**by_method):
    """What run.py would write, with the rows Standard and GradNorm."""
    return {
        "title": "a -> b",
        "rows": {
            method: {
                "label": label,
                "training_seconds": 10.0,
                "evaluation": evaluation(**by_method.get(method, {})),
            }
            for method, label in METHODS.items()
        },
        "settings": {"epochs": 40, "seed": 0},
        "changes": ["epochs 3 (recipe: 40)"],
        "versions": {"keras": "3"},
    }


def write_history(folder, method, seconds):
    path = folder / method / "history.csv"
    path.parent.mkdir(parents=True)
    rows = [f"{epoch},{s},0.5" for epoch, s in enumerate(seconds, 1)]
    path.write_text("\n".join(["epoch,seconds,loss", *rows]) + "\n")


@pytest.fixture
def runs(tmp_path):
    """Two variants of two seeds; all epochs but the first take the same time."""
    found = {}
    for variant, factors in (("ReLU", (2, 4)), ("GELU", (3, 3))):
        found[variant] = []
        for seed, factor in enumerate(factors):
            folder = tmp_path / variant / f"seed-{seed}"
            write_history(folder, "standard", [9, 1, 2])
            write_history(folder, "gradient_norm", [9, factor, 2 * factor])
            ours = {"pgd20": 0.3 + 0.1 * seed, "warns": ["square"] * seed, "worst": 0.3}
            content = result(gradient_norm=ours)
            content["settings"] |= {"seed": seed, "activation": variant}
            found[variant].append((folder, content))
    return found


def test_summary_is_the_sample_standard_deviation():
    # Deviations -2, 0, 2; (4 + 0 + 4) / (3 - 1) = 4.
    assert seeds_summary.summary([3, 5, 7], 2) == {
        "mean": 5, "standard_deviation": 2, "values": [3, 5, 7],
    }  # fmt: skip
    alone = seeds_summary.summary([1.236], 2)
    assert alone == {"mean": 1.24, "standard_deviation": None, "values": [1.24]}
    assert seeds_summary.summary([1.0, None], 2) is None


def test_seconds_of_an_epoch_leave_out_the_first(tmp_path):
    write_history(tmp_path, "igam", [30, 1, 2, 6])
    write_history(tmp_path, "pgd", [30])
    assert seeds_summary.epoch_seconds(tmp_path, "igam") == 3
    assert seeds_summary.epoch_seconds(tmp_path, "pgd") == 30
    assert seeds_summary.epoch_seconds(tmp_path, "standard") is None


def test_record_of_variants(runs):
    extra = {"ReLU": (), "GELU": ("--activation=gelu",)}
    record = seeds_summary.summarise(runs, [0, 1], extra)
    assert list(record["rows"]) == [
        "standard, ReLU",
        "standard, GELU",
        "gradient_norm, ReLU",
        "gradient_norm, GELU",
    ]
    row = record["rows"]["gradient_norm, ReLU"]
    assert row["label"] == "GradNorm, ReLU"
    # 30 and 40 %: deviations of 5, sqrt((25 + 25) / 1) = 7.07.
    assert row["attacks"]["pgd20"] == {
        "mean": 35.0, "standard_deviation": 7.07, "values": [30.0, 40.0],
    }  # fmt: skip
    # Epochs of 3 and 6 s against 1.5 s.
    assert row["epoch_seconds"]["values"] == [3.0, 6.0]
    assert row["relative_epoch_seconds"]["values"] == [2.0, 4.0]
    assert row["relative_epoch_seconds"]["mean"] == 3.0
    assert row["worst_case"]["values"] == [30.0, 30.0]
    assert row["warns"] == [[], ["square"]]
    assert row["warnings"] == [[], ["square is wrong"]]
    assert record["num_examples"] == 200
    assert record["changes"] == ["epochs 3 (recipe: 40)"]
    assert record["settings"] == {"epochs": 40}
    assert record["variants"] == {"ReLU": [], "GELU": ["--activation=gelu"]}


def test_epochs_are_compared_with_the_only_standard_there_is(runs):
    for _, content in runs["GELU"]:
        del content["rows"]["standard"]
    for folder, _ in runs["GELU"]:
        (folder / "standard" / "history.csv").unlink()
    record = seeds_summary.summarise(runs, [0, 1], {"ReLU": (), "GELU": ()})
    row = record["rows"]["gradient_norm, GELU"]
    assert row["relative_epoch_seconds"]["values"] == [3.0, 3.0]
    assert "over those of Standard, ReLU, same seed" in seeds_summary.table(record)


def test_table_is_markdown_that_tells_of_warnings(runs):
    extra = {"ReLU": (), "GELU": ("--activation=gelu", "--epochs=3")}
    record = seeds_summary.summarise(runs, [0, 1], extra)
    lines = seeds_summary.table(record).splitlines()
    assert lines[0] == "| Model          |      clean |     PGD-20 |  epoch time |"
    assert lines[1] == "| -------------- | ---------: | ---------: | ----------: |"
    assert lines[4] == "| GradNorm, ReLU | 90.0 ± 0.0 | 35.0 ± 7.1 | 3.00 ± 1.41 |"
    for caption in (
        "- Accuracy in percent, mean ± standard deviation of 2 seeds (0 to 1).",
        "- Linf, eps 8/255, step 2/255; 200 test images; batch norm in inference mode.",
        "- Masking panel, no warning in any seed: Standard, ReLU, Standard, GELU.",
        "- Warnings, GradNorm, ReLU: seed 1: square.",
        "- Variants: GELU `--activation=gelu --epochs=3`.",
        "- Not the recipe: epochs 3 (recipe: 40).",
    ):
        assert caption in lines
    together = "- Under all attacks and the panel's together: GradNorm, ReLU 30.0 ± 0.0"
    assert any(line.startswith(together) for line in lines)


def test_a_record_of_one_seed_without_panel_and_history(tmp_path):
    content = result()
    for row in content["rows"].values():
        row["evaluation"] |= {"panel": None, "worst_case": None, "warnings": ["order"]}
    record = seeds_summary.summarise({"": [(tmp_path, content)]}, [0], {})
    assert record["rows"]["standard"]["relative_epoch_seconds"] is None
    text = seeds_summary.table(record)
    assert "| Standard |  90.0 |   50.0 |\n" in text
    assert "- Accuracy in percent, seed 0.\n" in text
    assert "Warnings, GradNorm: seed 0: attack_order." in text
    assert "panel" not in text and "epoch" not in text.split("Not the recipe")[0]


def test_variants_are_parsed():
    parse = seeds.parse_variant
    found = parse("GELU=--activation=gelu,--methods=standard,igam")
    assert found == ("GELU", ("--activation=gelu", "--methods=standard,igam"))
    assert parse("ReLU=") == ("ReLU", ())
    for text in ("GELU", "a/b=--epochs=1", "../x=--epochs=1", "GELU=activation"):
        with pytest.raises(seeds.argparse.ArgumentTypeError, match="expected NAME="):
            parse(text)
    with pytest.raises(ValueError, match="--seed=3: it is set here"):
        seeds.plan([0], seeds.pathlib.Path("runs"), ["--seed=3"], {})


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Replaces run.py; returns a function that reads the calls of a run folder."""
    path = tmp_path / "stub" / "run.py"
    path.parent.mkdir()
    path.write_text(STUB)
    (path.parent / "result.json").write_text(json.dumps(result()))
    monkeypatch.setattr(seeds, "RUN", path)
    monkeypatch.setattr(seeds, "POLL_SECONDS", 0.01)
    # It would stay set in the tests' process.
    monkeypatch.setattr(seeds.signal, "signal", lambda *_: None)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)

    def calls(folder):
        text = (tmp_path / "runs" / folder / "calls.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    return calls


def command(tmp_path, *options, rest=()):
    own = [FLAGFILE, f"--runs={tmp_path}/runs", f"--json={tmp_path}/out/s.json"]
    methods = "--methods=standard,gradient_norm"
    return [*own, *options, "--", methods, "--attacks=clean,pgd20", *rest]


def test_each_seed_is_run_once_in_its_folder(tmp_path, stub, capsys):
    wanted = command(tmp_path, "--seeds=2")
    seeds.main(wanted)
    (call,) = stub("seed-1")
    assert call["arguments"] == [
        FLAGFILE,
        "--methods=standard,gradient_norm",
        "--attacks=clean,pgd20",
        "--seed=1",
        f"--run_dir={tmp_path}/runs/seed-1",
    ]
    assert call["threads"] is None
    (tmp_path / "runs" / "seed-0" / "results.json").unlink()
    seeds.main(wanted)
    assert len(stub("seed-0")) == 2 and len(stub("seed-1")) == 1
    record = json.loads((tmp_path / "out" / "s.json").read_text())
    assert record["seeds"] == [0, 1]
    assert record["rows"]["standard"]["attacks"]["pgd20"]["values"] == [50.0, 50.0]
    assert record["command"].startswith("python -m tools.seeds --flagfile=")
    assert "| GradNorm | 90.0 ± 0.0 |" in capsys.readouterr().out
    # Other attacks are evaluated, in the same folders.
    seeds.main([*wanted[:-1], "--attacks=clean,pgd10"])
    assert len(stub("seed-0")) == 3


def test_variants_in_parallel_with_one_thread_each(tmp_path, stub):
    variants = ["--variant=ReLU=", "--variant=GELU=--activation=gelu,--width=2"]
    seeds.main(command(tmp_path, "--seeds=2", "--parallel=2", *variants))
    (call,) = stub("GELU/seed-1")
    assert call["threads"] == "1"
    assert call["arguments"][-4:-1] == ["--activation=gelu", "--width=2", "--seed=1"]
    assert (tmp_path / "runs" / "ReLU" / "seed-0" / "output.log").exists()
    record = json.loads((tmp_path / "out" / "s.json").read_text())
    assert record["parallel"] == 2
    assert "gradient_norm, GELU" in record["rows"]


def test_a_failing_run_is_told_and_writes_no_table(tmp_path, stub, monkeypatch):
    monkeypatch.setattr(seeds.Job, "is_finished", lambda job: False)
    wanted = command(tmp_path, "--seeds=3", rest=["--fails_at=1"])
    with pytest.raises(SystemExit, match="seed 1: run.py ended with status 1"):
        seeds.main(wanted)
    assert len(stub("seed-0")) == 1
    assert not (tmp_path / "runs" / "seed-2").exists()
    assert not (tmp_path / "out" / "s.json").exists()


@pytest.mark.usefixtures("stub")
def test_a_folder_of_other_settings_and_wrong_flags_are_refused(tmp_path):
    seeds.main(command(tmp_path, "--seeds=1"))
    other = command(tmp_path, "--seeds=1", rest=["--epochs=3"])
    with pytest.raises(SystemExit, match="--epochs: 40 there, 3 now"):
        seeds.main(other)
    with pytest.raises(SystemExit, match="Error: .*epochz"):
        seeds.main(command(tmp_path, rest=["--epochz=3"]))


def test_a_flag_that_came_after_the_folder_counts_as_its_default(tmp_path, stub):
    # The stub records neither flag.
    seeds.main(command(tmp_path, "--seeds=1"))
    seeds.main(command(tmp_path, "--seeds=1", rest=["--corruptions="]))
    assert len(stub("seed-0")) == 1
    seeds.main(command(tmp_path, "--seeds=1", rest=["--corruptions=fog"]))
    assert len(stub("seed-0")) == 2
    other = command(tmp_path, "--seeds=1", rest=["--gradient_clip_norm=1"])
    with pytest.raises(SystemExit, match="--gradient_clip_norm: 0.0 there, 1.0 now"):
        seeds.main(other)


def test_a_table_is_finished_with_all_of_its_rows(tmp_path):
    path = tmp_path / "table.cfg"
    path.write_text(
        "--table=Mine\n"
        "--row=Vanilla: bases/pag_toy --methods=standard\n"
        "--row=PAG: bases/pag_toy --methods=pag --student_checkpoint=row:vanilla\n"
    )
    job = seeds.Job("", 3, tmp_path / "run", (f"--flagfile={path}",))
    assert not job.is_finished()
    table, _ = seeds.recipes.parse([*job.flags, "--seed=3"])
    common, rows = {}, {}
    for row in table.rows:
        flags = json.loads(json.dumps(row.experiment.flags()))
        common = common or flags
        rows[row.name] = {
            "label": row.label,
            "student": f"{row.name}-1f/{row.method}/student.keras",
            "settings": {**flags, "student_checkpoint": "a file"} if row.start else {},
            "evaluation": {**evaluation(), "settings": {"attacks": flags["attacks"]}},
        }
        write_history(job.folder, f"{row.name}-1f/{row.method}", [9, 2, 2])

    def write(rows, **settings):
        text = json.dumps({"settings": {**common, **settings}, "rows": rows})
        (job.folder / "results.json").write_text(text)
        return job.is_finished()

    assert write(rows)
    # The histories lie in the folders of the table's runs.
    record = {"title": "", "settings": {}, "rows": rows}
    found = seeds_summary.summarise({"": [(job.folder, record)]}, [3], {})["rows"]
    assert found["pag"]["epoch_seconds"]["mean"] == 2
    with pytest.raises(ValueError, match="--epochs: 5 there, 20 now"):
        write(rows, epochs=5)
    del rows["pag"]
    assert not write(rows)


def test_what_runs_ends_with_this_process(tmp_path):
    sleeper = tmp_path / "run.py"
    sleeper.write_text("import time; time.sleep(60)")
    job = seeds.Job("", 0, tmp_path, ())
    processes = []

    def start(*_):
        if processes:
            raise KeyboardInterrupt
        processes.append(seeds.subprocess.Popen([sys.executable, str(sleeper)]))
        return processes[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeds, "_start", start)
        with pytest.raises(KeyboardInterrupt):
            seeds.execute([job, seeds.Job("", 1, tmp_path, ())], parallel=2)
    assert processes[0].returncode == -seeds.signal.SIGTERM
