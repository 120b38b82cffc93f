"""One setting of an experiment: its default, help text and limits."""

import dataclasses
import math

from igam_tf.data import registry


def setting(default, text, *, may_change=False, decides=None, **limits):
    """A field with its help text and limits.

    Args:
        default: default value; its type is the flag's type.
        text: help text, one sentence with units.
        may_change: whether a resumed run may have another value.
        decides: whether results depend on it; default: what may not change.
        **limits: `choices`, `at_least`, `at_most`, `above`, `below`, `may_be_empty`.
    """
    decides = not may_change if decides is None else decides
    metadata = {"help": text, "may_change": may_change, "decides": decides, **limits}
    return dataclasses.field(default=default, metadata=metadata)


def known_dataset(name, *, flag):
    """`DatasetInfo` of a name; a ValueError that names the flag if there is none."""
    try:
        return registry.find(name)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None


def check_limits(field, value):
    """Checks a value against the limits of its field; a ValueError names the flag."""
    limits = field.metadata
    if "choices" in limits and value not in limits["choices"]:
        expected = f"one of {limits['choices']}"
    elif "at_least" in limits and not value >= limits["at_least"]:
        expected = f"at least {limits['at_least']}"
    elif "above" in limits and not value > limits["above"]:
        expected = f"more than {limits['above']}"
    elif "at_most" in limits and not value <= limits["at_most"]:
        expected = f"at most {limits['at_most']}"
    elif "below" in limits and not value < limits["below"]:
        expected = f"less than {limits['below']}"
    elif isinstance(value, tuple) and not value and not limits.get("may_be_empty"):
        expected = "one name or number at least"
    elif isinstance(value, float) and not math.isfinite(value):
        expected = "a finite number"
    else:
        return
    raise ValueError(
        f"--{field.name}={value!r}: expected {expected}. {field.metadata['help']}"
    )


def check_depth(network, depth, prefix):
    """Checks the depth of a network; a ValueError names the flag.

    Args:
        network: name of the network.
        depth: integer.
        prefix: of the flag, "" or "teacher_".
    """
    flag = f"--{prefix}depth={depth}"
    if network == "wide_resnet" and (depth < 8 or (depth - 2) % 6):
        raise ValueError(
            f"{flag}: a Wide-ResNet has depth 6 n + 2: 8, 14, 20, 26, 32, ..."
        )
    if network == "preact_resnet" and depth not in (10, 18, 34):
        raise ValueError(f"{flag}: a preact_resnet has depth 10, 18 or 34.")
