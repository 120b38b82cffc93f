"""The table of `panel_false_alarms`, from its result alone."""

HALVES = ("chosen on", "verified on")


def table(result):
    """Markdown of a result of `panel_false_alarms`.

    Args:
        result: dict as in results/panel_false_alarms.json.

    Returns:
        Markdown: one line a check, and what the numbers mean.
    """
    halves = [result["rates"][half] for half in HALVES]
    failures = result["failures"].values()
    lines = [
        "| check | false alarms, first half | bound | false alarms, second half "
        "| bound | failures it names |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in halves[0]:
        cells = [cell for rates in halves for cell in _cells(rates.get(name))]
        named = sum(
            bool(f["warns"]) if name == "any" else name in f["warns"] for f in failures
        )
        title = "any check" if name == "any" else name
        lines.append(f"| {title} | {' | '.join(cells)} | {named} of {len(failures)} |")
    return "\n".join([*lines, "", *_captions(result)]) + "\n"


def _cells(rate):
    if not rate:
        return ["-", "-"]
    bound = 100 * rate["upper_bound_95"]
    return [f"{rate['warns']} of {rate['looks']}", f"{bound:.2g} %"]


def _captions(result):
    either = [result["rates"][half]["any"] for half in HALVES]
    networks = " and ".join(str(rate["networks"]) for rate in either)
    warn = " and ".join(str(rate["networks_that_warn"]) for rate in either)
    failed = [
        f"{row['name']} ({row['clean']:.0%} when clean; warnings: "
        f"{', '.join(row['warns']) or 'none'})"
        for row in result["honest"]
        if not row.get("has_learned", True)
    ]
    missed = [name for name, f in result["failures"].items() if not f["found"]]
    return [
        f"- Looks at {networks} honest networks, of which {warn} warn at least once; "
        "three seeds, disjoint portions of 50, 100 and 200 images and all of them.",
        *(
            [f"- Did not learn, and not counted: {', '.join(failed)}."]
            if failed
            else []
        ),
        "- Bound: 95 %, one-sided, Clopper-Pearson, as of independent looks. Looks at "
        "one network are not independent.",
        "- Decisions were chosen on the first half of the networks; the second half "
        "was looked at once, with the decisions as they stand.",
        "- Failures that no check meant for them names: "
        + (
            ", ".join(missed)
            if missed
            else "none"
            if result["failures"]
            else "not measured"
        )
        + f". Panel version {result['panel_version']}.",
    ]
