"""YAML in front of a card: the few forms of it that the hub's metadata has.

Texts and numbers are written as JSON, which YAML reads as they are; a package for YAML
would be one more to install for twenty lines.
"""

import json
from collections.abc import Iterator
from typing import Any


def formatted(values: dict[str, Any]) -> str:
    """Metadata between two lines of hyphens.

    Args:
        values: dict of texts, finite numbers, and lists and dicts of these that are not
            empty.

    Returns:
        Text.
    """
    return "\n".join(["---", *_lines(values), "---", ""])


def _lines(value: Any) -> Iterator[str]:
    """Lines of a list or dict, without indentation."""
    pairs = (
        ((f"{name}:", item) for name, item in value.items())
        if isinstance(value, dict)
        else (("-", item) for item in value)
    )
    for head, item in pairs:
        if not isinstance(item, (dict, list)):
            yield f"{head} {json.dumps(item, ensure_ascii=False, allow_nan=False)}"
            continue
        inner = list(_lines(item))
        if head == "-":
            yield f"- {inner.pop(0)}"
        else:
            yield head
        yield from (f"  {line}" for line in inner)
