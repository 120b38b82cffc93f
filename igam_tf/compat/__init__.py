"""Every name of Keras and TensorFlow that we use although they may change it.

Private names, and names of undocumented behaviour, stand here, each behind a function
or class that says what it is for; the rest of the package uses these. Each has a test
of its own (tests/test_compat.py), which fails first when a release moves the name, and
each then raises an error that names it, instead of computing something else.
"""

import contextlib
import functools
import typing
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

TESTED = (
    "Tested are Keras 3.15 and TensorFlow 2.21: "
    "pip install 'keras>=3.15,<3.16' 'tensorflow>=2.21,<2.22'."
)


def versions() -> str:
    """The versions at hand, as error messages name them."""
    return f"Keras {keras.__version__} with TensorFlow {tf.__version__}"


def attribute(owner: object, name: str, owner_name: str, purpose: str) -> typing.Any:
    """`owner.name`, or an error that says what Keras or TensorFlow has moved.

    Raises:
        ValueError: if it is gone, with the versions and what they should be.
    """
    try:
        return getattr(owner, name)
    except AttributeError as error:
        raise moved(f"{owner_name}.{name}", purpose) from error


def moved(name: str, purpose: str) -> ValueError:
    """The error of a name that is gone, to be raised."""
    return ValueError(
        f"{name} is gone from {versions()}: igam_tf used it {purpose}, and knows of no "
        f"public name for that. {TESTED}"
    )


# Models and layers.


def flatten_layers(model: keras.Layer) -> list[keras.Layer]:
    """All layers of a model of whatever class, nested ones and itself included.

    `Layer._flatten_layers`: `Model.layers` has no layers inside of layers.
    """
    return attribute(model, "_flatten_layers", "keras.Layer", "to list all layers")()


def operation_of_output(model: keras.Model, index: int = 0) -> keras.Operation:
    """The layer or operation that gives an output of a functional model.

    `KerasTensor._keras_history`: the order of `Model.layers` is not that of the graph.
    """
    return call_before(model.outputs[index])[0]


def inputs_of_output(model: keras.Model) -> list[keras.KerasTensor]:
    """The tensors that `operation_of_output` was given: a list of KerasTensor."""
    return call_before(model.outputs[0])[1]


def call_before(tensor: typing.Any) -> tuple[keras.Operation, list[typing.Any]]:
    """What gave a KerasTensor, a layer or operation, and what that was given.

    `Operation._inbound_nodes`: `Operation.input` needs a layer that is called once.
    """
    history = attribute(tensor, "_keras_history", "keras.KerasTensor", _TO_FIND_LOGITS)
    operation = attribute(history, "operation", _HISTORY, _TO_FIND_LOGITS)
    index = attribute(history, "node_index", _HISTORY, _TO_FIND_LOGITS)
    nodes = attribute(operation, "_inbound_nodes", "keras.Operation", _TO_FIND_LOGITS)
    owner = "keras.Operation._inbound_nodes"
    inputs = attribute(nodes[index], "input_tensors", owner, _TO_FIND_LOGITS)
    return operation, list(inputs)


_HISTORY = "keras.KerasTensor._keras_history"
_TO_FIND_LOGITS = "to find the layer that gives the logits"


def operation_name(operation: keras.Operation) -> str:
    """Name of the kind of an operation of `keras.ops` in a functional model: "Relu".

    Undocumented: operations are objects of classes named after the functions.
    """
    return type(operation).__name__


def wrap_call(layer: keras.Layer, function: Callable) -> None:
    """Lets a built layer compute `function(layer, plain_call, inputs, ...)`, in place.

    Undocumented: `Layer.__call__` looks `call` up on the instance, as it must for the
    `build` that Keras itself wraps there. Class and config, which are what is saved,
    stay those of Keras. A layer that is wrapped already stays as it is.
    """
    if not isinstance(layer.call, functools.partial):
        layer.call = functools.partial(function, layer, layer.call)


@contextlib.contextmanager
def recorded_calls(
    record: Callable[[keras.Operation, tuple, dict], object],
) -> Iterator[None]:
    """Within it, every call of a layer, model or operation of Keras is recorded.

    Undocumented: all of them are called by `keras.Operation.__call__`.

    Args:
        record: function (operation, args, kwargs), called after the call, inner calls
            first.
    """
    original = keras.Operation.__call__

    def recording(operation, *args, **kwargs):
        outputs = original(operation, *args, **kwargs)
        record(operation, args, kwargs)
        return outputs

    keras.Operation.__call__ = recording
    try:
        yield
    finally:
        keras.Operation.__call__ = original


def is_container(operation: keras.Operation) -> bool:
    """Whether it is a model that does nothing but call its layers.

    Undocumented: such a model's `call` is that of Keras' `Functional` or `Sequential`.
    Asked by name, since to make a layer would fix Keras' precision.
    """
    call = getattr(type(operation), "call", None)
    return getattr(call, "__qualname__", "") in ("Functional.call", "Sequential.call")


def variable_handle(variable: keras.Variable) -> tf.Tensor:
    """The resource tensor by which traced functions capture a keras.Variable.

    Undocumented: `keras.Variable.value` is a resource variable of TensorFlow.
    """
    purpose = "to tell the variables of an exported program"
    return attribute(variable.value, "handle", "keras.Variable.value", purpose)


# The loop of `fit`.


class OwnLoop:
    """To inherit from before `keras.Model`: `fit` with a loop of the model's own.

    Keras' `fit` and `evaluate` call these methods, two of them undocumented, before
    the first batch. `compile` refuses a Keras without them: it would train in its own
    way, without a word.
    """

    _CALLED_BY_FIT = (
        "_maybe_symbolic_build",
        "make_train_function",
        "make_test_function",
    )

    def compile(self, *args, **kwargs) -> None:
        for name in self._CALLED_BY_FIT:
            attribute(keras.Model, name, "keras.Model", "to train by its own loop")
        super().compile(*args, **kwargs)  # type: ignore[misc]  # of the model beside it

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Builds nothing: `compile` did; from a batch it fails with several workers."""
        batches = hasattr(iterator, "_distributed_dataset") and (
            iterator.data_adapter.get_tf_dataset()
        )
        if isinstance(batches, tf.data.Dataset):  # Elsewhere they stay as they are.
            iterator._distributed_dataset = self.distributed(batches)


# Optimizers.


def learning_rate(optimizer: keras.optimizers.Optimizer) -> typing.Any:
    """An optimizer's learning rate as it was given: a schedule, or a variable.

    `Optimizer._learning_rate`: the public property is a schedule's value of the moment.
    """
    purpose = "to let a second optimizer follow the schedule"
    return attribute(optimizer, "_learning_rate", "keras.Optimizer", purpose)


def momentum_slot(
    optimizer: keras.optimizers.Optimizer, variable: keras.Variable
) -> keras.Variable:
    """The accumulator that `keras.optimizers.SGD` holds for a variable.

    `Optimizer._get_variable_index` and the undocumented list `SGD.momentums`.
    """
    purpose = "to keep TensorFlow 1's momentum"
    owner = "keras.optimizers.SGD"
    index = attribute(optimizer, "_get_variable_index", owner, purpose)(variable)
    return attribute(optimizer, "momentums", owner, purpose)[index]


def without_loss_scale(
    optimizer: keras.optimizers.Optimizer,
) -> keras.optimizers.Optimizer:
    """The optimizer inside of a `LossScaleOptimizer`; any other as it is.

    Undocumented: `LossScaleOptimizer.inner_optimizer`.
    """
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer
    purpose = "to copy the settings of an optimizer"
    owner = "keras.optimizers.LossScaleOptimizer"
    return attribute(optimizer, "inner_optimizer", owner, purpose)


# TensorFlow: programs, graphs and files.


def compiler_ir(
    function: Callable, specs: Sequence[tf.TensorSpec], stage: str
) -> str | bytes:
    """What XLA makes of a `tf.function(jit_compile=True)`; a text or bytes.

    `experimental_get_compiler_ir` may go as any experimental name.
    """
    name, purpose = "experimental_get_compiler_ir", "to export a step"
    return attribute(function, name, "tf.function", purpose)(*specs)(stage=stage)


def portable_artifact(module: str, version: str) -> bytes:
    """A StableHLO module of text, as bytes that later versions read as well.

    Part of TensorFlow's package, but not of its documented interface.
    """
    name = "tensorflow.compiler.mlir.stablehlo"
    try:
        from tensorflow.compiler.mlir.stablehlo import stablehlo
    except ImportError as error:
        raise moved(f"{name}.stablehlo", "to write exported programs") from error
    write = attribute(
        stablehlo, "serialize_portable_artifact_str", name, "to write exported programs"
    )
    return write(module, version)


def bundle_protos() -> tuple[type, type]:
    """Messages (header, entry) of a checkpoint's index: two protobuf classes.

    `tf.train.load_checkpoint` crashes on damaged files, so that we read them first.
    """
    name, purpose = "tensorflow.core.protobuf.tensor_bundle_pb2", "to read checkpoints"
    try:
        from tensorflow.core.protobuf import tensor_bundle_pb2
    except ImportError as error:
        raise moved(name, purpose) from error
    kinds = ("BundleHeaderProto", "BundleEntryProto")
    return tuple(attribute(tensor_bundle_pb2, kind, name, purpose) for kind in kinds)


def function_in_graph(graph: tf.Graph, name: str) -> tf.Graph:
    """Graph of a function that an operation of `graph` runs (`Graph._get_function`)."""
    purpose = "to count the convolutions of a step"
    return attribute(graph, "_get_function", "tf.Graph", purpose)(name).graph


# TensorFlow Datasets.


def tfds_folder() -> str:
    """Where TensorFlow Datasets keeps data by default (`tfds.core.constants`)."""
    import tensorflow_datasets as tfds

    name, purpose = "tensorflow_datasets.core.constants", "to find prepared data"
    constants = attribute(tfds.core, "constants", "tensorflow_datasets.core", purpose)
    return attribute(constants, "DATA_DIR", name, purpose)


def tfds_archive_errors() -> tuple[type[Exception], ...]:
    """What TensorFlow Datasets raises on damaged archives: a tuple of exceptions.

    None of them is more than an `Exception` in its public interface.
    """
    name, purpose = "tensorflow_datasets.core.download", "to tell of damaged archives"
    try:
        from tensorflow_datasets.core.download import download_manager, extractor
    except ImportError as error:
        raise moved(f"{name}.download_manager or .extractor", purpose) from error
    checksum = "NonMatchingChecksumError"
    return (
        attribute(download_manager, checksum, f"{name}.download_manager", purpose),
        attribute(extractor, "ExtractError", f"{name}.extractor", purpose),
    )
