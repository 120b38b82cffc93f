"""YAML in front of a card: the few forms of it that the hub's metadata has.

Texts and numbers are written as JSON, which YAML reads as they are; a package for YAML
would be one more to install for twenty lines.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

# What JSON may hold as it is, and YAML takes for the end of a line or refuses.
_NOT_YAML = re.compile(
    "[\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff\\ufeff\\ufffe\\uffff]"
)


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
            yield f"{head} {_scalar(item)}"
            continue
        inner = list(_lines(item))
        if head == "-":
            yield f"- {inner.pop(0)}"
        else:
            yield head
        yield from (f"  {line}" for line in inner)


def quoted(text: str) -> str:
    """Text in double quotes, as YAML, JSON and Python read it."""
    written = json.dumps(text, ensure_ascii=False)
    return _NOT_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def _scalar(item):
    if isinstance(item, str):
        return quoted(item)
    written = json.dumps(item, allow_nan=False)
    if isinstance(item, float) and "." not in written:
        # To YAML 1.1 a number such as 1e-06 is a text.
        written = written.replace("e", ".0e")
    return written
