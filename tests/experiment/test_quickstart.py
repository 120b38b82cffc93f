"""The README's first command, as it stands."""

import json
import pathlib
import re
import subprocess
import sys

from small_models import shifted

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def test_the_quickstart_shows_the_effect(tmp_path):
    seed = [f"--seed={shifted(0)}"] if shifted(0) else []
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "run.py"), "--flagfile=flags/quickstart.cfg",
         f"--run_dir={tmp_path}/run", *seed],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "float32" in done.stdout.splitlines()[0]
    assert "InitializeLog" not in done.stderr and "cuda" not in done.stderr
    assert re.search(r"igam: epoch \d+/40 .* (left|taken)", done.stdout)
    assert f"Run folder: {tmp_path}/run" in done.stdout.splitlines()[-1]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    # Another seed is no departure from the recipe.
    assert results["changes"] == []
    attacks = {
        name: {a: r["accuracy"] for a, r in row["evaluation"]["attacks"].items()}
        for name, row in results["rows"].items()
    }
    assert set(attacks["igam"]) == {"clean", "fgsm", "pgd5", "pgd20", "pgd100"}
    # One draw, of seed and processor: bounds are four and more standard deviations away
    # from the means of results/quickstart_seeds.json. A student that learns nothing of
    # its teacher ends at a ratio of 1 and 27 points below FT.
    assert attacks["igam"]["pgd100"] > 1.5 * attacks["standard"]["pgd100"]
    assert attacks["igam"]["pgd100"] > attacks["finetune"]["pgd100"] - 0.08
    assert attacks["igam"]["clean"] > 0.95 and attacks["standard"]["clean"] > 0.97
    assert attacks["pgd"]["pgd100"] > attacks["igam"]["pgd100"] + 0.15
    for row in ("standard", "finetune", "igam", "pgd"):
        assert results["rows"][row]["label"] in done.stdout
