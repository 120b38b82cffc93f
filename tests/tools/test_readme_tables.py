"""The tables of README and docs/ are those that their results make."""

import copy
import json

import pytest

from tools import readme_tables
from tools.readme_tables import REPOSITORY

pytestmark = pytest.mark.fast


def read(name):
    return json.loads((REPOSITORY / "results" / f"{name}.json").read_text())


def test_pages_show_what_is_in_results():
    texts = {str(p.relative_to(REPOSITORY)): p.read_text() for p in readme_tables.FILES}
    # Pages without blocks would show nothing stale.
    counts = {name: len(readme_tables.BLOCK.findall(t)) for name, t in texts.items()}
    assert counts["README.md"] and sum(counts.values()) >= 20, counts
    for name, text in texts.items():
        found = readme_tables.stale(text)
        assert found == [], f"{name}: run python -m tools.readme_tables"


def test_in_short_a_table_keeps_what_its_numbers_are_of():
    files = "results/table3_small.json + results/table3_small_autoattack.json"
    whole = readme_tables.block_text(files).splitlines()
    short = readme_tables.block_text(f"{files}, in short").splitlines()
    assert [x for x in short if x.startswith("|")] == [
        x for x in whole if x.startswith("|")
    ]
    captions = [x[:18] for x in short if x.startswith("- ")]
    assert captions == [
        "- Accuracy in perc",
        "- Linf, eps 8/255,",
        "- AutoAttack: on t",
    ]
    assert set(short) <= set(whole)


def entry(accuracy, num_examples):
    half = 0.1 if num_examples == 100 else 0.03
    return {"accuracy": accuracy, "interval_95": [accuracy - half, accuracy + half]}


def run_results(num_examples, **accuracies):
    """A run's results.json with one row."""
    return {
        "title": "a -> b",
        "rows": {
            "igam": {
                "label": "IGAM",
                "training_seconds": 12.34,
                "evaluation": {
                    "attacks": {
                        name: entry(accuracy, num_examples)
                        for name, accuracy in accuracies.items()
                    },
                    "threat_model": "Linf",
                    "eps": 8 / 255,
                    "step_size": 2 / 255,
                    "batch_norm": "inference",
                    "seed": 0,
                    "num_examples": num_examples,
                    "warnings": [],
                },
            }
        },
    }


def test_a_run_becomes_a_table_with_its_settings():
    text = readme_tables.run_table(run_results(500, clean=0.5, pgd20=0.25))
    lines = text.splitlines()
    assert lines[0] == "| Model | clean | PGD-20 | training (s) |"
    assert lines[2] == "| IGAM  |  50.0 |   25.0 |         12.3 |"
    assert "Linf, eps 8/255, step 2/255; 500 test images; seed 0" in text


def test_a_second_run_adds_columns_and_says_on_how_many_images():
    results = run_results(500, clean=0.5, pgd20=0.25)
    extra = run_results(100, clean=0.6, pgd20=0.3, autoattack=0.2)
    before = copy.deepcopy([results, extra])
    text = readme_tables.run_table(results, extra)
    lines = text.splitlines()
    assert lines[2] == "| IGAM  |  50.0 |   25.0 |       20.0 |         12.3 |"
    assert "up to 3.0 points" in text
    assert lines[-1] == (
        "- AutoAttack: on the first 100 of the images; there clean / PGD-20 / "
        "AutoAttack: IGAM 60 / 30 / 20."
    )
    assert [results, extra] == before
    extra["rows"]["igam"]["label"] = "KDIGA"
    with pytest.raises(ValueError, match="the same rows in both"):
        readme_tables.run_table(results, extra)


@pytest.fixture
def markdown(tmp_path):
    """A file with two blocks, one of them up to date."""
    (tmp_path / "results").mkdir()
    for name, accuracy in (("one", 0.5), ("two", 0.7)):
        content = json.dumps(run_results(500, clean=accuracy))
        (tmp_path / "results" / f"{name}.json").write_text(content)
    blocks = [
        f"{readme_tables.START}results/{name}.json -->\n<!-- end -->"
        for name in ("one", "two")
    ]
    text = "\n\n".join(["before", *blocks, "after\n"])
    text = readme_tables.rewritten(text, tmp_path)
    path = tmp_path / "page.md"
    path.write_text(text.replace("50.0", "99.9"))
    return path


def test_stale_blocks_are_named_and_rewritten(markdown, monkeypatch, capsys):
    monkeypatch.setattr(readme_tables, "block_text", _relative_to(markdown.parent))
    with pytest.raises(SystemExit, match="Run `python -m"):
        readme_tables.main(["--check", str(markdown)])
    assert capsys.readouterr().out == "page.md: results/one.json is stale\n"
    assert "99.9" in markdown.read_text()
    readme_tables.main([str(markdown)])
    text = markdown.read_text()
    assert "50.0" in text and "70.0" in text and "99.9" not in text
    assert text.startswith("before\n\n<!--") and text.endswith("end -->\n\nafter\n")
    readme_tables.main(["--check", str(markdown)])


def _relative_to(root):
    made = readme_tables.block_text
    return lambda files, _: made(files, root)


def test_blocks_that_cannot_be_made_are_told(tmp_path):
    start = f"{readme_tables.START}results/one.json -->\n"
    with pytest.raises(ValueError, match="1 blocks begin .* and 0 end"):
        readme_tables.stale(start)
    with pytest.raises(ValueError, match="2 blocks begin"):
        readme_tables.stale(f"{start}\n{start}<!-- end -->\n")
    with pytest.raises(FileNotFoundError, match="one.json"):
        readme_tables.stale(f"{start}<!-- end -->\n", tmp_path)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match='other.json has no "rows"'):
        readme_tables.block_text("other.json", tmp_path)
    with pytest.raises(ValueError, match="expected one file"):
        seeds = "results/quickstart_seeds.json"
        readme_tables.block_text(f"{seeds} + {seeds}")


def test_long_captions_are_wrapped_and_tables_are_not():
    made = readme_tables.block_text("results/quickstart_autoattack.json")
    lines = made.splitlines()
    assert max(len(line) for line in lines if not line.startswith("|")) <= 88
    assert lines[0] == "" and made.endswith(".\n\n")


def test_seeds_of_the_quickstart_are_in_the_form_of_today():
    record = read("quickstart_seeds")
    pgd100 = record["rows"]["igam"]["attacks"]["pgd100"]
    assert pgd100["values"] == [56.85, 52.41, 52.96, 55.74, 49.07]
    assert pgd100["mean"] == 53.41
    assert record["seeds"] == [0, 1, 2, 3, 4]
