"""HTML built as a tree: every text and attribute is escaped where it is written.

Labels and names of folders are a user's, and must come out as the text that they are.
The tree is the standard library's `xml.etree.ElementTree`.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

#: What an element may hold: texts, elements, several of these, or nothing.
Child = str | Element | None | Iterable["Child"]

# The page can fetch nothing, even if a mistake put a reference into it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def element(tag: str, *children: Child, **attributes: str | float | None) -> Element:
    """An element with its children.

    Args:
        tag: name of the element.
        *children: texts, elements, iterables of them; None is left out.
        **attributes: an underscore at the end is dropped (`class_`), others become
            hyphens (`aria_label`), and None is left out.

    Returns:
        `xml.etree.ElementTree.Element`.
    """
    found = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            found.set(name.rstrip("_").replace("_", "-"), _text(value))
    _fill(found, children)
    return found


def document(title: str, style: str, *body: Child) -> str:
    """A whole page as text: one file, which refers to nothing outside of it.

    Args:
        title: of the page.
        style: CSS.
        *body: contents of the page.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", style),
    )
    page = element("html", head, element("body", *body), lang="en")
    written = ElementTree.tostring(page, encoding="unicode", method="html")
    return f"<!doctype html>\n{written}\n"


def _fill(parent, children):
    for child in children:
        if child is None:
            continue
        if isinstance(child, Element):
            parent.append(child)
        elif isinstance(child, str):
            _add_text(parent, _text(child))
        else:
            _fill(parent, child)


def _add_text(parent, text):
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def _text(value):
    """Text that UTF-8 can hold: names of files may have bytes that are none."""
    return str(value).encode("utf-8", "replace").decode("utf-8")
