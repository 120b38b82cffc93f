"""Tables and lists of a page: accuracies, warnings, settings, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from igam_tf.evaluation.statistic_names import STATISTICS
from igam_tf.reports.names import attack_title, public_settings, titles
from igam_tf.reports.page.html import Child, element
from igam_tf.reports.table import (
    beside_attacks,
    statistic_text,
    statistics_of,
    time_unit,
)

_MISSING = "–"


def accuracies(results: dict) -> Element:
    """The table of a run: accuracies in percent with their 95 % intervals.

    Args:
        results: dict as of `results.json`.
    """
    rows, paper = results["rows"], results.get("paper") or {}
    attacks = list(
        dict.fromkeys(a for row in rows.values() for a in row["evaluation"]["attacks"])
    )
    is_timed = any(row.get("training_seconds") is not None for row in rows.values())
    unit, seconds = time_unit(rows)
    beside = beside_attacks(rows)
    head = ["Model", *map(attack_title, attacks)]
    head += beside
    head += [f"training ({unit})"] if is_timed else []
    body = [
        element(
            "tr",
            element("th", row["label"], scope="row"),
            (
                _accuracy(row["evaluation"]["attacks"].get(a), paper.get(name, {}), a)
                for a in attacks
            ),
            [_accuracy(row["evaluation"].get(key), {}, key) for key in beside],
            _time(row.get("training_seconds"), seconds) if is_timed else None,
            class_="control" if row.get("control_of") else None,
        )
        for name, row in rows.items()
    ]
    return _scrolled(head, body)


def statistics(results: dict) -> Iterator[Child]:
    """The table of statistics of input gradients, if they were measured.

    Args:
        results: dict as of `results.json`.
    """
    rows, paper = results["rows"], results.get("paper") or {}
    if not (names := statistics_of(rows)):
        return
    head = ["Model", *(STATISTICS.get(name, name) for name in names)]
    body = []
    for key, row in rows.items():
        found, known = row["evaluation"].get("statistics", {}), paper.get(key, {})
        cells = (
            element("td", statistic_text(found.get(name), known.get(name)))
            for name in names
        )
        body.append(
            element("tr", element("th", row["label"], scope="row"), list(cells))
        )
    yield _scrolled(head, body)


def corruptions(rows: Mapping[str, dict]) -> Iterator[Child]:
    """Accuracy under each corruption: means over severities, and each severity.

    Args:
        rows: "rows" of `results.json`.
    """
    titled = titles(rows)
    found = {
        titled[key]: row["evaluation"]["corruptions"]
        for key, row in rows.items()
        if row["evaluation"].get("corruptions")
    }
    if not found:
        return
    yield element(
        "p",
        "Percent of the corrupted test images that are right, mean over severities; at "
        "each severity below it.",
    )
    kinds = list(
        dict.fromkeys(kind for entry in found.values() for kind in entry["kinds"])
    )
    head = ["Corruption", *found]
    body = [
        element(
            "tr",
            element("th", kind.replace("_", " "), scope="row"),
            (_corrupted(entry["kinds"].get(kind)) for entry in found.values()),
        )
        for kind in kinds
    ]
    errors = [
        element("td", element("b", f"{100 * entry['mean_corruption_error']:.1f}"))
        for entry in found.values()
    ]
    body.append(element("tr", element("th", "mean error", scope="row"), errors))
    yield _scrolled(head, body)


def _scrolled(head, body):
    table = element(
        "table",
        element("thead", element("tr", (_head(text) for text in head))),
        element("tbody", body),
        class_="accuracies",
    )
    return element("div", table, class_="scroll", tabindex="0")


def _corrupted(entry):
    if entry is None:
        return element("td", _MISSING)
    percent = 100 * entry["accuracy"]
    each = " ".join(f"{100 * value:.0f}" for value in entry["severities"].values())
    return element(
        "td",
        element("b", f"{percent:.1f}"),
        element("small", each),
        style=f"--part:{percent:.1f}%",
    )


def warnings(rows: Mapping[str, dict]) -> Iterator[Child]:
    """What the evaluation warns of, and what the masking panel looked at.

    Args:
        rows: "rows" of `results.json`.
    """
    titled = titles(rows)
    evaluations = {titled[key]: row["evaluation"] for key, row in rows.items()}
    warned = [
        element("li", element("b", f"{label}: "), sentence)
        for label, found in evaluations.items()
        for sentence in found.get("warnings", ())
    ]
    if warned:
        yield element("ul", warned, class_="warnings")
    panels = {label: e["panel"] for label, e in evaluations.items() if e.get("panel")}
    without = [label for label in evaluations if label not in panels]
    if without:
        yield element(
            "p",
            "The panel that looks for masked gradients was not run on ",
            f"{', '.join(without)}.",
        )
    quiet = [label for label, panel in panels.items() if not panel["warns"]]
    if quiet:
        yield element(
            "p",
            f"The masking panel did not warn of {', '.join(quiet)}, which is no proof.",
        )
    if panels:
        yield _details(
            "What the masking panel looked at",
            (_panel(label, panel) for label, panel in panels.items()),
        )


def definitions(values: Mapping[str, object]) -> Element:
    """Names and values, such as settings or versions."""
    return element(
        "dl",
        (
            element("div", element("dt", name), element("dd", _shown(value)))
            for name, value in values.items()
        ),
        class_="values",
    )


def settings(results: dict) -> Iterator[Child]:
    """Where the run differs from its recipe, and all settings.

    Args:
        results: dict as of `results.json`.
    """
    changes = results.get("changes")
    if changes:
        yield element("p", f"Not the recipe: {', '.join(changes)}.")
    common = public_settings(results.get("settings") or {})
    if common:
        yield _details(f"All {len(common)} settings", definitions(common))
    for row in results["rows"].values():
        own = public_settings(row.get("settings") or {})
        if own:
            yield _details(f"{row['label']}: its own settings", definitions(own))


def versions(results: dict) -> Iterator[Child]:
    """Versions, revision and machine, as far as they are known.

    Args:
        results: dict as of `results.json`.
    """
    found = results.get("versions")
    if found is None:
        evaluations = (row["evaluation"] for row in results["rows"].values())
        found = next((e["versions"] for e in evaluations if e.get("versions")), {})
    values = dict(found)
    if results.get("git_revision"):
        values["git revision"] = results["git_revision"]
    machine = results.get("machine")
    if machine:
        values["machine"] = f"{machine['cpus']} CPUs, {machine['gpus']} GPUs"
    yield definitions(values) if values else element("p", "They were not recorded.")


def _head(text):
    return element("th", text, scope="col")


def _accuracy(entry, published, attack):
    other = published.get(attack)
    if entry is None:
        told = _MISSING if other is None else f"{_MISSING} (paper {other:.1f})"
        return element("td", told)
    percent = 100 * entry["accuracy"]
    low, high = (100 * end for end in entry["interval_95"])
    notes = [element("small", f"{low:.1f} to {high:.1f}")]
    if other is not None:
        notes.append(element("small", f"paper {other:.1f} ({percent - other:+.1f})"))
    return element(
        "td", element("b", f"{percent:.1f}"), notes, style=f"--part:{percent:.1f}%"
    )


def _time(seconds, unit):
    return element("td", _MISSING if seconds is None else f"{seconds / unit:.1f}")


def _panel(label, panel):
    checks = panel["checks"]
    noted = [
        element(
            "li",
            element("b", name.replace("_", " ") + (" warns" if c["warns"] else "")),
            f": {c['sentence']}",
            class_="warns" if c["warns"] else None,
        )
        for name, c in checks.items()
    ]
    told = "no warning" if not panel["warns"] else f"{len(panel['warns'])} warn"
    return _details(
        f"{label}: {len(checks)} checks on {panel['num_examples']} images, {told}",
        element("ul", noted, class_="checks"),
    )


def _details(summary, *content):
    return element("details", element("summary", summary), content)


def _shown(value):
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _MISSING if value in ("", None) else str(value)
