"""Lowers a TensorFlow function to a StableHLO program that needs no TensorFlow."""

import re
from collections.abc import Callable, Mapping

import tensorflow as tf

from igam_tf import compat
from igam_tf.export.variables import Captures

#: Portable artifacts are written for this version or any later one (StableHLO promises
#: five years of backward compatibility). 1.0.0 is of 2024; `jaxlib` of then reads it.
STABLEHLO_VERSION = "1.0.0"

_ALIAS = re.compile(
    r"parameter_number = (?P<argument>\d+) : i64\}, "
    r"output_index = array<i64: (?P<result>\d+)>"
)
_COPY = re.compile(r"mhlo\.copy (%[\w#]+) : (tensor<[^>]*>)")


def lower(
    function: Callable[..., dict[str, tf.Tensor]],
    inputs: Mapping[str, tf.TensorSpec],
    captures: Captures,
    *,
    version: str = STABLEHLO_VERSION,
) -> tuple[bytes, dict[str, list]]:
    """Lowers a function to StableHLO.

    Variables that the function reads become arguments after the inputs, those that it
    assigns become results after the outputs, and take over the memory of the argument.

    Args:
        function: of tensors; returns a dict of tensors by name.
        inputs: tf.TensorSpec of each argument by name, in order.
        captures: `Captures` of the model.
        version: StableHLO version to write for, such as "1.0.0".

    Returns:
        Tuple (artifact, entry): bytes, and the manifest's "arguments" and "results".

    Raises:
        ValueError: if the function takes more than inputs and variables, if XLA gave
            another program than expected, or if it cannot be written for the version.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)
    specs = list(inputs.values())
    concrete = compiled.get_concrete_function(*specs)
    arguments = [_entry(name, spec) for name, spec in inputs.items()]
    arguments += [captures.entry(tensor) for tensor in concrete.captured_inputs]
    # In the order of tf.nest, by which TensorFlow flattens a dict.
    outputs = sorted(concrete.structured_outputs.items())
    results = [_entry(name, tensor) for name, tensor in outputs]

    text = _stablehlo(compiled, specs)
    before, header, body = _split(text)
    for match in sorted(_ALIAS.finditer(header), key=lambda m: int(m["result"])):
        index = int(match["argument"])
        results.append({**arguments[index], "updates": index})
    _check_signature(body, arguments, results)
    # Without the attributes: JAX decides on aliasing anew, by what is donated to it.
    module = before + "module @program {\n" + _without_copies(body)
    entry = {"arguments": arguments, "results": results}
    return _portable(module, version), entry


def _portable(module, version):
    try:
        return compat.portable_artifact(module, version)
    except ValueError as error:
        raise ValueError(
            f"stablehlo_version={version!r}: the program cannot be written for it "
            f"({error}); expected a version such as {STABLEHLO_VERSION!r}, which this "
            "TensorFlow knows, and in which the program's operations are."
        ) from error


def _stablehlo(compiled, specs):
    try:
        return compat.compiler_ir(compiled, specs, "stablehlo")
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise ValueError(
            f"XLA cannot compile this as a whole: {first}. What is exported must run "
            "with jit_compile=True on a batch of this size: no shape may depend on "
            "values, and micro-batches, if any, must divide the batch."
        ) from error


def _split(text):
    """Text before the module (locations), the module's attributes, the rest."""
    module = text.index("module @")
    body = text.index("{\n", module) + 2
    return text[:module], text[module:body], text[body:]


def _without_copies(text):
    """The program without `mhlo.copy`, which no portable artifact can hold.

    XLA's lowering puts one before each aliased result. A reshape to the same shape
    stands in for it, which changes no value and which every XLA drops.
    """
    return _COPY.sub(r"stablehlo.reshape \1 : (\2) -> \2", text)


def _entry(name, spec):
    return {"name": name, "shape": list(spec.shape), "dtype": spec.dtype.name}


def _check_signature(body, arguments, results):
    """The order of arguments is XLA's custom, not its promise: compare the shapes."""
    start = body.index("@main(")
    taken, given = body[start : body.index("{\n", start)].split(" -> ")
    sides = ("arguments", taken, arguments), ("results", given, results)
    for what, text, entries in sides:
        found = re.findall(r"tensor<([^>]*)>", text)
        expected = [_mlir_type(entry) for entry in entries]
        if found != expected:
            raise ValueError(
                f"XLA's program has {what} {found[:5]}... ({len(found)}), expected "
                f"{expected[:5]}... ({len(expected)}): this version of TensorFlow "
                f"({tf.__version__}) lowers functions in another way. {compat.TESTED}"
            )


def _mlir_type(entry):
    dtype = tf.dtypes.as_dtype(entry["dtype"])
    if dtype.is_floating:
        name = "bf16" if dtype == tf.bfloat16 else f"f{8 * dtype.size}"
    elif dtype.is_bool:
        name = "i1"
    else:
        name = ("ui" if dtype.is_unsigned else "i") + str(8 * dtype.size)
    return "x".join([*map(str, entry["shape"]), name])
