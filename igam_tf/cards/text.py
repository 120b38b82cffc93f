"""Formats a card as Markdown, with code to paste."""

import html
import json
import re
from collections.abc import Iterator

from igam_tf.attacks.fractions import fraction
from igam_tf.cards.front_matter import quoted
from igam_tf.data import registry
from igam_tf.reports.names import HELD_OUT, attack_title, evaluated_images

# What Markdown takes for marks; an underscore inside of a word is none.
_MARKS = re.compile(r"[\\`*\[\]|~$#]|(?<![^\W_])_|_(?![^\W_])|^[-+=](?=\s|$)")
# Letters of names of classes that are read in a line; more are a list of their own.
_IN_A_LINE = 400
# Attacks of minutes, which the pasted code runs; AutoAttack takes hours.
_QUICK = re.compile(r"clean|fgsm|(pgd|cw)\d+")

_LOAD = """\
```python
import keras
import numpy as np

model = keras.models.load_model({file}, compile=False)
images = np.zeros({shape}, "float32")  # yours, in [0, 1]
logits = model.predict(images)
classes = logits.argmax(axis=1)
```"""
_ATTACK = """\
```python
import igam_tf

model, card = igam_tf.load({file})
data_dir = None  # or a folder of TFDS-prepared data
{read}
results = igam_tf.evaluate(
    model,
    igam_tf.data.evaluation_batches(task.test, {batch_size}),
    attacks={attacks},
    eps={eps!r},
    step_size={step_size!r},
    norm="{norm}",
    batch_size={batch_size},
    batch_norm="{batch_norm}",
    seed={seed},{panel}
)
for name, found in results["attacks"].items():
    on_card = card["results"]["attacks"][name]
    print(name, found["accuracy"], "on the card:", on_card["accuracy"])
```"""
_READ = """\
task = igam_tf.data.read(
    {task}, data_dir, train_examples=1, test_examples={count}{own}
)"""
_READ_HELD_OUT = """\
task = igam_tf.data.read({task}, data_dir, test_examples=1{own})
task = igam_tf.data.hold_out(
    task, {fraction!r}, seed={split_seed}, test_examples={count}
)"""


def format_card(card: dict, file: str = "student.keras") -> str:
    """A card as Markdown.

    Args:
        card: dict as of `make_card`.
        file: name of the model's file, for the code.

    Returns:
        Text.
    """
    return "\n".join(
        [
            f"# {_plain(card['method']['label'])} for {_name(card['task']['name'])}",
            "",
            *_what(card),
            "",
            "## Results",
            "",
            *_results(card["results"]),
            *_transfer(card),
            "",
            "## Load it",
            "",
            "Plain Keras, without any other package:",
            "",
            _LOAD.format(file=quoted(file), shape=_batch_shape(card)),
            "",
            "## Attack it",
            "",
            "With igam_tf, which measured the table above:",
            "",
            _attack(card, file),
            "",
            "## How it was made",
            "",
            *_making(card),
            "",
            *_classes(card),
        ]
    )


def _what(card):
    task = card["task"]
    names = (task["source"], task["name"])
    shape = " x ".join(str(size or "any") for size in task["input_shape"])
    yield (
        f"An image classifier of {task['num_classes']} classes with "
        f"{card['num_parameters']:,} parameters: the row {card['method']['name']!r} of "
        f"the run {' -> '.join(map(_name, filter(None, names)))}."
    )
    yield ""
    yield f"- Input: images {shape}, float32 in [0, 1], without preprocessing."
    told = _names_in_a_line(task)
    if task.get("classes_left_out"):
        told = " (whose names are too long for a card)"
    elif task.get("classes") and not told:
        told = ", by name at the end"
    yield f"- Output: logits of the classes 0 to {task['num_classes'] - 1}{told}."


def _names_in_a_line(task):
    """The names of the classes after a colon; "" for none, and for many."""
    # Cards of earlier versions have no names.
    names = ", ".join(map(_name, task.get("classes", ())))
    return f": {names}" if 0 < len(names) <= _IN_A_LINE else ""


def _classes(card: dict) -> Iterator[str]:
    """The names of many classes, folded up."""
    names = card["task"].get("classes", ())
    if not names or _names_in_a_line(card["task"]):
        return
    yield "## Classes"
    yield ""
    yield f"<details><summary>The {len(names):,} names</summary>"
    yield ""
    for number, name in enumerate(names):
        yield f"{number}. {_name(name)}"
    yield ""
    yield "</details>"
    yield ""


def _results(found):
    yield "| attack | accuracy (%) | 95 % interval |"
    yield "| --- | ---: | ---: |"
    for name, entry in found["attacks"].items():
        low, high = (100 * end for end in entry["interval_95"])
        accuracy = f"{100 * entry['accuracy']:.1f}"
        yield f"| {_plain(attack_title(name))} | {accuracy} | {low:.1f} to {high:.1f} |"
    yield ""
    step = found["step_size"]
    step = "" if step is None else f", step {fraction(step)}"
    yield (
        f"- {found['threat_model']}, eps {fraction(found['eps'])}{step}; "
        f"{found['num_examples']} {evaluated_images(found)}; seed {found['seed']}; "
        f"batch norm: {found['batch_norm']}."
    )
    if found["worst_case"]:
        worst = 100 * found["worst_case"]["accuracy"]
        yield f"- Under all attacks and the masking panel's together: {worst:.1f}."
    yield from _warnings(found)


def _warnings(found):
    panel = found["panel"]
    if panel is None:
        yield "- The panel that looks for masked gradients was not run."
    elif not panel["warns"]:
        yield (
            f"- The masking panel ({len(panel['checks'])} checks on "
            f"{panel['num_examples']} images) did not warn, which is no proof."
        )
    for sentence in found["warnings"]:
        yield f"- Warning: {_plain(sentence)}"


def _transfer(card):
    """What the controls say; cards of earlier versions lack it."""
    for sentence in card.get("transfer", ()):
        yield f"- {sentence}"
    if card.get("control_of"):
        yield (
            f"- A control of the row {card['control_of']!r}: its own teacher is "
            "missing."
        )


def _attack(card, file):
    found, settings = card["results"], card["settings"]
    quick = [name for name in found["attacks"] if _QUICK.fullmatch(name)]
    read = _READ_HELD_OUT if found.get(HELD_OUT) else _READ
    return _ATTACK.format(
        file=quoted(file),
        read=read.format(
            task=quoted(card["task"]["name"]),
            count=found["num_examples"],
            own=_own_data(card),
            fraction=found.get(HELD_OUT),
            split_seed=settings.get("split_seed", 0),
        ),
        batch_size=settings.get("eval_batch_size", 100),
        attacks=json.dumps(quick or ["clean"]),
        eps=found["eps"],
        step_size=found["step_size"],
        norm=found["threat_model"].lower(),
        batch_norm=found["batch_norm"],
        seed=found["seed"],
        # In L1 there is none, and `evaluate` refuses one.
        panel="\n    panel=False," if found["threat_model"] == "L1" else "",
    )


def _own_data(card):
    """Further arguments of data of one's own, which the reader has to have."""
    if card["task"]["name"] in registry.DATASETS:
        return ""
    defaults = {
        "image_size": "",
        "test_fraction": 0.2,
        "split_seed": 0,
        "stream": "auto",
        "center_crop": 0.0,
    }
    given = {name: card["settings"].get(name, d) for name, d in defaults.items()}
    return "".join(
        f", {name}={value!r}"
        for name, value in given.items()
        if value != defaults[name]
    )


def _making(card):
    training = card["training"]
    if training["seconds"] is not None:
        yield f"- Trained in {training['seconds']:.0f} s{_machine(card['machine'])}."
    if training["train_examples"]:
        yield f"- Training images: {training['train_examples']}."
    spent = {k: s for k, s in (training["teacher_seconds"] or {}).items() if s}
    if spent:
        listed = ", ".join(f"{stage} {s:.0f} s" for stage, s in spent.items())
        yield f"- Trained before it, for all rows: {listed}."
    if card.get("teacher"):
        yield f"- Teacher: {_teacher(card['teacher'])}."
    if card["git_revision"]:
        yield f"- Git revision: {card['git_revision']}."
    if card["versions"]:
        versions = ", ".join(f"{name} {v}" for name, v in card["versions"].items())
        yield f"- Versions: {versions}."
    if card["changes"]:
        yield f"- Not the recipe: {_plain(', '.join(card['changes']))}."
    yield ""
    yield "Flags of the run:"
    yield ""
    for name, value in card["settings"].items():
        value = ",".join(map(str, value)) if isinstance(value, list) else value
        yield f"    --{name}={value}"


def _teacher(found):
    text = f"`{found['file']}` (sha256 `{found['sha256']}`)"
    if "clean" not in found:
        return f"{text}, whose accuracy on its own task was not measured"
    return (
        f"{text}; of {found['num_examples']} test images of its own task "
        f"{100 * found['clean']:.1f} % clean, {100 * found['pgd20']:.1f} % under "
        f"PGD-20 at eps {fraction(found['eps'])}"
    )


def _plain(text):
    """Text without what Markdown takes for HTML; a label may come from anywhere."""
    return html.escape(" ".join(str(text).split()), quote=False)


def _name(text):
    """A name as it is, whatever Markdown would make of it."""
    return _MARKS.sub(r"\\\g<0>", _plain(text))


def _machine(machine):
    if not machine:
        return ""
    return f" on a machine with {machine['cpus']} CPUs and {machine['gpus']} GPUs"


def _batch_shape(card):
    # 32 where the network takes any size.
    return (1, *(size or 32 for size in card["task"]["input_shape"]))
