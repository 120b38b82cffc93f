"""Settings: frozen dataclasses whose fields know their help text, limits and flag.

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class CurvatureSettings(Settings):
        weight: float = setting(
            1.0, "Weight of the curvature.", flag="curvature_weight", at_least=0
        )

An experiment is composed of them (`igam_tf.experiment.Experiment`), and each of their
fields is a flag of `run.py`. Nothing here imports TensorFlow.
"""

import contextlib
import dataclasses
import math
import numbers
from collections.abc import Iterator, Mapping
from typing import Any, Self

# float32 ends there, and so do the settings that become one.
_LARGEST = 3e38
_MOST = 2**31 - 1
_EXPECTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "names or numbers, separated by commas",
}


def setting(
    default: Any,
    text: str,
    *,
    flag: str = "",
    resumable: bool = False,
    affects_results: bool | None = None,
    **limits: Any,
) -> Any:
    """A field with its help text and limits.

    Args:
        default: default value; its type is the type of the flag.
        text: help text: one sentence, with units.
        flag: name of the flag; the name of the field if left out.
        resumable: whether a run that is resumed may have another value.
        affects_results: whether results depend on it; by default they do unless it is
            resumable.
        **limits: `choices`, `at_least`, `at_most`, `above`, `below`, `may_be_empty`.
    """
    if affects_results is None:
        affects_results = not resumable
    metadata = {
        "help": text,
        "flag": flag,
        "resumable": resumable,
        "affects_results": affects_results,
        **limits,
    }
    return dataclasses.field(default=default, metadata=metadata)


def flag_of(field: dataclasses.Field) -> str:
    """Name of the flag of a field that `setting` made."""
    return field.metadata["flag"] or field.name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings that belong together; every field is made by `setting`.

    Raises:
        ValueError: naming the flag, the received value and what was expected.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, value := tuple(value))
            check_type(field, value)
            check_limits(field, value)

    @classmethod
    def from_flags(cls, flags: Mapping[str, Any]) -> Self:
        """The settings from a dict by the names of flags; other flags are ignored."""
        fields = dataclasses.fields(cls)
        return cls(**{f.name: flags[flag_of(f)] for f in fields if flag_of(f) in flags})

    @classmethod
    def flag_names(cls) -> frozenset[str]:
        """Names of the flags of these settings."""
        return frozenset(flag_of(field) for field in dataclasses.fields(cls))

    def flags(self) -> dict[str, Any]:
        """Values by the names of their flags."""
        return {flag_of(f): getattr(self, f.name) for f in dataclasses.fields(self)}


def check_type(field: dataclasses.Field, value: Any) -> None:
    """Checks that a value is of the type of its field, within what can be computed.

    Raises:
        ValueError: naming the flag.
    """
    kind = type(field.default)
    fits = {
        bool: lambda: isinstance(value, bool),
        int: lambda: (
            isinstance(value, numbers.Integral) and not isinstance(value, bool)
        ),
        float: lambda: isinstance(value, numbers.Real) and not isinstance(value, bool),
        str: lambda: isinstance(value, str),
        tuple: lambda: isinstance(value, tuple),
    }[kind]
    if not fits():
        problem = _EXPECTED[kind]
    elif kind is int and not -_MOST <= value <= _MOST:
        problem = f"at most {_MOST}"
    elif kind is float and math.isfinite(value) and abs(value) > _LARGEST:
        problem = "a number that float32 can hold"
    else:
        return
    raise _error(field, value, problem)


def check_limits(field: dataclasses.Field, value: Any) -> None:
    """Checks a value against the limits of its field.

    Raises:
        ValueError: naming the flag.
    """
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
    raise _error(field, value, expected)


def _error(field, value, expected):
    return ValueError(
        f"--{flag_of(field)}={value!r}: expected {expected}. {field.metadata['help']}"
    )


@contextlib.contextmanager
def naming(flags: str) -> Iterator[None]:
    """Puts the names of flags in front of errors about what is made from them.

    Args:
        flags: such as "--depth, --width".
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{flags}: {error}") from error
