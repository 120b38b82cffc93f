"""Rewrites the tables of results in README and docs/ from results/*.json.

    python -m tools.readme_tables            # rewrites what is stale
    python -m tools.readme_tables --check    # says what is; exits with 1

A block is what stands between two comments:

    <!-- generated from results/NAME.json -->
    <!-- end -->

NAME.json is the results.json of a run, or a file of `python -m tools.seeds`. A
second run of the same students on fewer images, such as AutoAttack's, adds its columns:

    <!-- generated from results/NAME.json + results/NAME_autoattack.json -->

Its table with the captions that a reader cannot do without, for a page where every line
counts:

    <!-- generated from results/NAME.json, in short -->

`results/panel_false_alarms.json` becomes the table of `tools.panel_table`, and
`optimality.json` and `verified_digits.json` those of files of these names here. All
tables of a size give the paper's claims (`tools.claims`):

    <!-- generated from results/*_small.json -->
"""

import argparse
import copy
import json
import pathlib
import re
import sys
import textwrap

from igam_tf.reports.names import evaluated_images
from igam_tf.reports.table import attack_title, format_table
from tools import (
    claims,
    optimality_table,
    panel_table,
    seeds_summary,
    verified_table,
)

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
FILES = [
    REPOSITORY / "README.md",
    REPOSITORY / "results" / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
#: Files of a form of their own -> what makes Markdown of one.
OWN_FORMS = {
    "results/panel_false_alarms.json": panel_table.table,
    "results/optimality.json": optimality_table.table,
    "results/verified_digits.json": verified_table.table,
}
WIDTH = 88
IN_SHORT = ", in short"
#: What accuracies are of, the threat model, and which columns saw fewer images.
NEEDED = re.compile(r"- (Accuracy in percent|Linf|L2|[\w, -]+: on the first )")
START = "<!-- generated from "
BLOCK = re.compile(
    rf"^{START}(?P<files>[^\n]+?) -->\n(?P<text>.*?)^<!-- end -->$", re.M | re.S
)


def stale(text, root=REPOSITORY):
    """The blocks that are not what their files make.

    Args:
        text: Markdown.
        root: folder that the files' names are relative to.

    Returns:
        List of the names of their files, as they stand in the block.

    Raises:
        ValueError: if a block has no end, or a file is no results.
        FileNotFoundError: if a file is not there.
    """
    blocks = _blocks(text)
    return [b["files"] for b in blocks if b["text"] != block_text(b["files"], root)]


def rewritten(text, root=REPOSITORY):
    """The text with every block made anew.

    Args, Raises: as for `stale`.
    """
    _blocks(text)

    def made(block):
        body = block_text(block["files"], root)
        return f"{START}{block['files']} -->\n{body}<!-- end -->"

    return BLOCK.sub(made, text)


def block_text(files, root=REPOSITORY):
    """What stands in a block.

    Args:
        files: such as "results/a.json + results/b.json", or the same with
            ", in short" behind it.
        root: folder that they are relative to.

    Returns:
        Markdown, with an empty line before and after it.

    Raises:
        ValueError: if a file is no results, or two files do not fit.
        FileNotFoundError: if a file is not there.
    """
    if "*" in files:
        size = re.fullmatch(r"results/\*_(\w+)\.json", files)[1]
        return f"\n{claims.markdown(size)}\n"
    if files in OWN_FORMS:
        made = OWN_FORMS[files](json.loads((root / files).read_text()))
        return "\n".join(["", *map(_wrapped, made.splitlines()), "", ""])
    names = [name.strip() for name in files.removesuffix(IN_SHORT).split(" + ")]
    contents = [_read(root / name) for name in names]
    has_seeds = ["seeds" in content for content in contents]
    if len(contents) > 2 or (len(contents) > 1 and any(has_seeds)):
        raise ValueError(
            f"{files}: expected one file, or the results.json of two runs of the same "
            "students."
        )
    made = seeds_summary.table(*contents) if has_seeds[0] else run_table(*contents)
    lines = made.splitlines()
    if files.endswith(IN_SHORT):
        lines = [x for x in lines if not x.startswith("- ") or NEEDED.match(x)]
    lines = [_wrapped(line) for line in lines]
    return "\n".join(["", *lines, "", ""])


def run_table(results, extra=None):
    """Table of one run.

    Args:
        results: contents of a run's results.json.
        extra: those of the same students on fewer images; what they were attacked with
            there only becomes columns, and what the panel said is said.

    Returns:
        Markdown: table and captions, without a title.

    Raises:
        ValueError: if the two have other rows.
    """
    if extra is None:
        return "\n".join(_without_title(results)) + "\n"
    names = {name: row["label"] for name, row in results["rows"].items()}
    others = {name: row["label"] for name, row in extra["rows"].items()}
    if names != others:
        raise ValueError(f"Expected the same rows in both, got {names} and {others}.")
    rows = [row for found in (results, extra) for row in found["rows"].values()]
    kinds = {evaluated_images(row["evaluation"]) for row in rows}
    if len(kinds) > 1:
        raise ValueError(f"Expected the same images in both, got {sorted(kinds)}.")
    # The columns come from one, the captions, without the fewer images, from the other.
    with_columns, with_panel = copy.deepcopy(results), copy.deepcopy(results)
    for name, row in extra["rows"].items():
        added = row["evaluation"]
        attacks = with_columns["rows"][name]["evaluation"]["attacks"]
        attacks |= {a: v for a, v in added["attacks"].items() if a not in attacks}
        evaluation = with_panel["rows"][name]["evaluation"]
        evaluation |= {n: added[n] for n in ("panel", "warnings") if n in added}
    table = [line for line in _without_title(with_columns) if line.startswith("|")]
    captions = [line for line in _without_title(with_panel) if not line.startswith("|")]
    return "\n".join([*table, *captions, _fewer_images(results, extra)]) + "\n"


def _wrapped(line):
    """A caption in lines of the pages' width."""
    if not line.startswith("- "):
        return line
    whole = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(line, WIDTH, subsequent_indent="  ", **whole)


def _without_title(results):
    lines = format_table(results).rstrip("\n").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    return lines[first:]


def _fewer_images(results, extra):
    """The caption that says what an added column was measured on."""
    rows = [row["evaluation"] for row in results["rows"].values()]
    attacks = list(dict.fromkeys(a for row in rows for a in row["attacks"]))
    added, shown = [], []
    for row in extra["rows"].values():
        found = row["evaluation"]["attacks"]
        added += [a for a in found if a not in attacks and a not in added]
        percents = [f"{100 * entry['accuracy']:.0f}" for entry in found.values()]
        shown.append(f"{row['label']} {' / '.join(percents)}")
        titles = " / ".join(map(attack_title, found))
        count = row["evaluation"]["num_examples"]
    return (
        f"- {', '.join(map(attack_title, added))}: on the first {count} of the images; "
        f"there {titles}: {', '.join(shown)}."
    )


def _blocks(text):
    blocks = list(BLOCK.finditer(text))
    starts = len(re.findall(rf"^{START}", text, re.M))
    if starts != len(blocks) or any(START in block["text"] for block in blocks):
        raise ValueError(
            f"{starts} blocks begin with {START!r} and {len(blocks)} end: expected a "
            "line '<!-- end -->' after each."
        )
    return blocks


def _read(path):
    content = json.loads(path.read_text())
    if not isinstance(content, dict) or not content.get("rows"):
        raise ValueError(
            f'{path} has no "rows": expected the results.json of a run, or a file of '
            "`python -m tools.seeds`."
        )
    return content


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument(
        "files", nargs="*", type=pathlib.Path, default=FILES,
        help="Markdown files; README.md, results/README.md and docs/ if left out",
    )  # fmt: skip
    args = parser.parse_args(arguments)
    found = 0
    for path in args.files:
        text = path.read_text()
        names = stale(text)
        found += len(names)
        for name in names:
            print(f"{path.name}: {name} {'is stale' if args.check else 'rewritten'}")
        if names and not args.check:
            path.write_text(rewritten(text))
    if args.check and found:
        sys.exit("Run `python -m tools.readme_tables`.")


if __name__ == "__main__":
    main()
