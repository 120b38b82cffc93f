"""The table of `benchmarks.parity.verified_bounds`, from its result alone."""

from tools.tables import table_lines


def table(result):
    """Markdown: for each eps and network what is verified, and what AutoAttack leaves.

    Args:
        result: dict as in results/verified_digits.json.
    """
    networks, by_eps = [], {}
    for row in result["rows"].values():
        found, name = row["evaluation"], row["network"]
        if name not in networks:
            networks.append(name)
        by_eps.setdefault(found["eps"], {})[name] = found
    first = next(iter(result["rows"].values()))["evaluation"]
    header = ["eps", *(f"{name}: verified to AutoAttack" for name in networks)]
    clean = next(iter(by_eps.values()))
    rows = [
        ["clean", *(_percent(clean[name]["attacks"]["clean"]) for name in networks)]
    ]
    for eps, found in sorted(by_eps.items()):
        cells = [
            f"{_percent(found[name]['verified'])} to "
            f"{_percent(found[name]['attacks']['autoattack'])}"
            for name in networks
        ]
        rows.append([f"{eps:g}", *cells])
    captions = [
        f"- Percent of {first['num_examples']} digits, {first['threat_model']}; the "
        "robust accuracy lies between the two.",
        f"- `{result['command']}`, {result['processor']}, one thread.",
    ]
    return "\n".join([*table_lines(header, rows), "", *captions]) + "\n"


def _percent(entry):
    return f"{100 * entry['accuracy']:.0f}"
