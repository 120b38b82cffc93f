"""Pictures inside a page, as data URIs, each with a text that stands for it."""

from __future__ import annotations

import base64
import io
from xml.etree.ElementTree import Element

import numpy as np

from igam_tf.reports.adversarial import AdversarialExamples
from igam_tf.reports.page.html import element

#: Name of a figure -> its title, and what it shows.
FIGURES = {
    "input_gradients": (
        "Input gradients",
        "Test images, and beside each the gradient of every model's loss by its "
        "pixels: grey is zero, and each gradient is scaled by itself.",
    ),
    "surfaces": (
        "Loss and decision surfaces",
        "Above the loss, below the predicted class around one test image: to the right "
        "the model's own adversarial direction, upwards a random one. The outline is "
        "the ball within which attacks stay.",
    ),
    "alignment": (
        "Alignment and robustness",
        "What a model's gradient says of each image, against the distance of the "
        "nearest adversarial image that PGD found.",
    ),
    "robustness": (
        "Robust accuracy over eps",
        "The share of the test images whose smallest adversarial perturbation that was "
        "found is larger than eps. The dotted line is the eps of the evaluation.",
    ),
    "class_pairs": (
        "Success by class pair",
        "How many percent of the images of each class, right when clean, a targeted "
        "attack led to each other class.",
    ),
}
# Larger images are stored as JPEG: as PNG, a table's would be tens of megabytes.
_SMALL = 64


def figure(name: str, png: bytes) -> Element:
    """A figure that `igam_tf.reports.write_figures` drew.

    Args:
        name: one of `FIGURES`.
        png: contents of its PNG file.
    """
    title, told = FIGURES[name]
    return element(
        "figure",
        element(
            "div",
            _image(png, "png", f"{title}. {told}"),
            class_="paper scroll",
            tabindex="0",
        ),  # fmt: skip
        element("figcaption", told),
    )


def examples(found: AdversarialExamples, class_names: list[str] | None) -> Element:
    """Adversarial images of each model, with the change magnified.

    Args:
        found: what `adversarial_examples` returns.
        class_names: names of the classes, or None to show their numbers.
    """

    def name(number):
        return str(number) if class_names is None else class_names[number]

    originals = [
        _cell(image, f"test image of class {name(label)}", f"class {name(label)}")
        for image, label in zip(found.images, found.labels)
    ]
    bodies = [_lines(found, title, name) for title in found.found]
    table = element(
        "table",
        element("tbody", _line("Test images", originals)),
        bodies,
        class_="pictures",
    )
    return element("div", table, class_="scroll", tabindex="0")


def _lines(found, title, name):
    """Two lines of the table: adversarial images of a model, and their changes."""
    moved, before, after = found.found[title]
    adversarial, changes = [], []
    change = f"change × {found.magnification:.3g}"
    for image, shown, first, last in zip(
        moved, found.shown_change(title), before, after
    ):
        seen = f"seen as {name(last)}"
        if first != last:
            seen += f", before as {name(first)}"
        adversarial.append(_cell(image, f"{title}: adversarial image, {seen}", seen))
        changes.append(_cell(shown, f"{title}: {change}", None))
    return element("tbody", _line(title, adversarial), _line(change, changes))


def _line(head, cells):
    return element("tr", element("th", head, scope="row"), cells)


def _cell(image, alt, caption):
    kind = "png" if max(image.shape[:2]) <= _SMALL else "jpeg"
    return element(
        "td",
        _image(_encoded(image, kind), kind, alt, class_="pixels"),
        caption and element("span", caption),
    )


def _image(encoded, kind, alt, **attributes):
    source = f"data:image/{kind};base64,{base64.b64encode(encoded).decode('ascii')}"
    return element("img", src=source, alt=alt, **attributes)


def _encoded(image, kind):
    from matplotlib import image as images

    if image.shape[-1] == 1:
        image = np.repeat(image, 3, axis=-1)
    written = io.BytesIO()
    images.imsave(written, (255 * image).round().astype(np.uint8), format=kind)
    return written.getvalue()
