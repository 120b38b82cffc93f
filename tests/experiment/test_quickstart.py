"""The README's first command, as it stands."""

import json
import pathlib
import re
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def test_the_quickstart_shows_the_effect(tmp_path):
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "run.py"), "--flagfile=flags/quickstart.cfg",
         f"--run_dir={tmp_path}/run"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"igam: epoch \d+/40 .* (left|taken)", done.stdout)
    assert f"Run folder: {tmp_path}/run" in done.stdout.splitlines()[-1]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["changes"] == []
    attacks = {
        name: {a: r["accuracy"] for a, r in row["evaluation"]["attacks"].items()}
        for name, row in results["rows"].items()
    }
    assert set(attacks["igam"]) == {"clean", "fgsm", "pgd5", "pgd20", "pgd100"}
    # One seed: with room for the spread that results/quickstart_seeds.json shows.
    assert attacks["igam"]["pgd100"] > 1.7 * attacks["standard"]["pgd100"]
    assert attacks["igam"]["pgd100"] > attacks["finetune"]["pgd100"] - 0.05
    assert attacks["igam"]["clean"] > attacks["finetune"]["clean"] - 0.01
    assert attacks["pgd"]["pgd100"] > attacks["igam"]["pgd100"]
    for row in ("standard", "finetune", "igam", "pgd"):
        assert results["rows"][row]["label"] in done.stdout
