"""What is known of each network of the zoo; needs no TensorFlow."""

import dataclasses
import difflib
import functools
import json
import pathlib

NETWORKS = pathlib.Path(__file__).with_name("networks")
_HEAD = ("Network", "Model", "clean", "AutoAttack", "images", "threat model",
         "seconds", "passes", "parameters", "shipped")  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A network, and what was measured on it.

    Attributes:
        name: as given to `load`.
        dataset: name of its data set, as in `igam_tf.data`.
        label: of its row in the table.
        method: how it was trained.
        file: its `.keras` file among those that travel with the package; "" if it does
            not.
        sha256: of that file; "" where there is none.
        num_parameters: None where it was not recorded.
        threat_model, eps: ball of the attacks.
        clean: accuracy in percent, of `num_examples` test images.
        autoattack: the same under AutoAttack, of `autoattack_examples` of them.
        autoattack_clean: accuracy in percent on these as they are.
        autoattack_seconds, forward_passes, backward_passes: what AutoAttack took, on a
            machine that did other work as well; passes of images through the network.
        rebuild: the command that trains it.
        student: where that command writes it.
        results: file of the repository with everything that was measured.
    """

    name: str
    dataset: str
    label: str
    method: str
    file: str
    sha256: str
    num_parameters: int | None
    threat_model: str
    eps: float
    num_examples: int
    clean: float
    autoattack: float
    autoattack_examples: int
    autoattack_clean: float
    autoattack_seconds: float
    forward_passes: int
    backward_passes: int
    rebuild: str
    student: str
    results: str


@functools.cache
def _entries() -> dict[str, Entry]:
    read = json.loads((NETWORKS / "entries.json").read_text(encoding="utf-8"))
    return {found["name"]: Entry(**found) for found in read}


def names(*, shipped: bool | None = None, dataset: str | None = None) -> list[str]:
    """As `igam_tf.zoo.list`."""
    known = sorted({found.dataset for found in _entries().values()})
    if dataset not in (None, *known):
        raise ValueError(
            f"the zoo has no network of the data set {dataset!r}: expected one of "
            f"{', '.join(known)}.{_hint(dataset, known)}"
        )
    return [
        found.name
        for found in _entries().values()
        if shipped in (None, bool(found.file)) and dataset in (None, found.dataset)
    ]


def entry(name: str) -> Entry:
    """What is known of a network.

    Raises:
        ValueError: if there is none of this name; says which there are.
    """
    known = _entries()
    if name not in known:
        raise ValueError(
            f"the zoo has no network {name!r}: expected one of "
            f"{', '.join(known)}.{_hint(name, known)}"
        )
    return known[name]


def _hint(name, known):
    close = difflib.get_close_matches(str(name), known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def table(*, shipped: bool | None = None, dataset: str | None = None) -> str:
    """The networks as a Markdown table, the most robust of each data set first.

    Args:
        shipped, dataset: as of `igam_tf.zoo.list`.

    Returns:
        Text: accuracies in percent; "images" are those that AutoAttack was run on.

    Raises:
        ValueError: if there is no network of that data set.
    """
    found = [entry(name) for name in names(shipped=shipped, dataset=dataset)]
    found.sort(key=lambda e: (e.dataset, e.threat_model, e.eps, -e.autoattack))
    lines = [list(_HEAD), *map(_cells, found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(map(str.ljust, cells, widths)) + " |"
        for cells in (lines[0], rule, *lines[1:])
    )


def _cells(found):
    passes = found.forward_passes + found.backward_passes
    size = found.num_parameters
    return [
        found.name,
        found.label,
        f"{found.clean:.1f}",
        f"{found.autoattack:.1f}",
        str(found.autoattack_examples),
        f"{found.threat_model}, {_eps(found.eps)}",
        f"{found.autoattack_seconds:.0f}",
        f"{passes:,}",
        "-" if size is None else f"{size:,}",
        "yes" if found.file else "no",
    ]


def _eps(eps):
    from igam_tf.attacks.fractions import fraction

    return fraction(eps)
