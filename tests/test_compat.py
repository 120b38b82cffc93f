"""Each name that Keras and TensorFlow do not promise to keep, and what its loss does.

The first failing test after a release says which name moved. Values come from the
documented behaviour; `test_a_lost_name_is_named` takes each name away.
"""

import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.data.ops import dataset_ops, multi_device_iterator_ops

from igam_tf import compat
from igam_tf.compat import replicas
from igam_tf.compat.optimizers import clipped_gradients
from igam_tf.models.freezing import leaves

pytestmark = pytest.mark.fast


def dense_model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])


def test_flatten_layers():
    class Holder(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inside = keras.layers.Dense(2)

        def call(self, inputs):
            return self.inside(inputs)

    holder = Holder()
    model = keras.Sequential([keras.Input((2,)), holder])
    found = list(compat.flatten_layers(model))
    assert holder.inside not in list(leaves(model))
    assert any(layer is holder.inside for layer in found)
    assert any(layer is model for layer in found)


def test_operation_of_output():
    inputs = keras.Input((2,))
    logits = keras.layers.Dense(3, name="logits")
    model = keras.Model(inputs, logits(keras.layers.Dense(4)(inputs)))
    assert compat.operation_of_output(model) is logits


def test_inputs_of_output():
    layer = keras.layers.Dense(2)
    first = keras.Input((2,))
    second = layer(first)
    model = keras.Model(first, layer(second))  # called twice
    (found,) = compat.inputs_of_output(model)
    assert found is second
    (found,) = compat.inputs_of_output(keras.Model(first, second))
    assert found is first


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "gelu", "silu", "elu"])
def test_operation_name(name):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, getattr(keras.ops, name)(inputs))
    found = compat.operation_name(compat.operation_of_output(model))
    assert found.lower() == name.replace("_", "")


def test_wrap_call():
    def plus_one(layer, plain_call, inputs, **kwargs):
        assert layer is model.layers[0]
        return plain_call(inputs, **kwargs) + 1.0

    model = dense_model()
    plain = model(tf.ones((1, 2)))
    compat.wrap_call(model.layers[0], plus_one)
    compat.wrap_call(model.layers[0], plus_one)  # no second one
    np.testing.assert_allclose(model(tf.ones((1, 2))), plain + 1.0, rtol=1e-6)
    predicted = model.predict(np.ones((1, 2)), verbose=0)
    np.testing.assert_allclose(predicted, plain + 1.0, rtol=1e-6)


def test_recorded_calls():
    inputs = keras.Input((2,))
    model, found = (
        keras.Model(inputs, keras.ops.relu(keras.layers.Dense(3)(inputs))),
        [],
    )
    before = keras.Operation.__call__
    with compat.recorded_calls(lambda operation, args, kwargs: found.append(operation)):
        model(np.ones((1, 2), "float32"))
    assert [type(operation).__name__ for operation in found] == [
        "Dense", "Relu", "Functional",
    ]  # fmt: skip
    assert keras.Operation.__call__ is before


def test_is_container():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    inputs = keras.Input((2,))
    functional = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    assert compat.is_container(functional) and compat.is_container(dense_model())
    assert not compat.is_container(Own())
    assert not compat.is_container(functional.layers[1])


def test_variable_handle():
    variables = [keras.Variable(1.0), keras.Variable(2.0)]
    traced = tf.function(lambda: variables[1] * 3.0).get_concrete_function()
    handles = [compat.variable_handle(variable) for variable in variables]
    assert [captured is handles[1] for captured in traced.captured_inputs] == [True]


class Counting(compat.OwnLoop, keras.Model):
    """Notes what `fit` and `evaluate` call; its networks never see an image."""

    def __init__(self):
        super().__init__()
        self.events = []
        self.built = True

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        self.events.append("build")
        super()._maybe_symbolic_build(iterator, data_batch)

    def distributed(self, batches):
        self.events.append("distributed")
        return batches.skip(1)

    def call(self, inputs):
        raise AssertionError("fit called the model in its own way")

    def make_train_function(self, force=False):
        self.events.append("train function")
        self.train_function = self.batch

    def make_test_function(self, force=False):
        self.events.append("test function")
        self.test_function = self.batch

    def batch(self, iterator):
        images, _ = iterator.get_next()
        more = iterator.get_next_as_optional()
        self.events.append(f"{len(images)} images, more: {bool(more.has_value())}")
        return {"ours": tf.constant(7.0)}


@pytest.mark.parametrize("call", ["fit", "evaluate"])
def test_own_loop(call):
    model = Counting()
    model.compile("sgd", steps_per_execution=2)
    dataset = tf.data.Dataset.from_tensors((tf.zeros((3, 2)), tf.zeros(3))).repeat(3)
    if call == "fit":
        logs = {
            k: v[-1]
            for k, v in model.fit(dataset, shuffle=False, verbose=0).history.items()
        }
    else:
        logs = model.evaluate(dataset, verbose=0, return_dict=True)
    assert logs == {"ours": 7.0}
    name = "train" if call == "fit" else "test"
    assert set(model.events[:3]) == {"build", "distributed", f"{name} function"}
    assert model.events[3:] == ["3 images, more: True"]


def test_batches_that_keras_makes_of_arrays_are_distributed():
    model = Counting()
    model.compile("sgd", steps_per_execution=1)
    model.fit(np.zeros((4, 2)), np.zeros(4), batch_size=2, verbose=0)
    assert model.events[-1] == "2 images, more: False"


def test_nothing_is_tuned_for_replicas(monkeypatch):
    """The thread that tunes wakes up once a minute, and an iterator waits for it."""
    tuned, create = [], dataset_ops.DatasetV2.__iter__
    monkeypatch.setattr(
        dataset_ops.DatasetV2, "__iter__",
        lambda self: tuned.append(self.options().autotune.enabled) or create(self),
    )  # fmt: skip
    plain, options = tf.data.Dataset.range(6).batch(2), tf.data.Options()
    options.autotune.enabled = False
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = [
        strategy.experimental_local_results(batch)
        for batch in replicas.distributed(strategy, plain.with_options(options))
    ]
    assert [[int(share[0]) for share in batch] for batch in found] == [
        [0, 1], [2, 3], [4, 5]
    ]  # fmt: skip
    assert tuned and all(value is False for value in tuned)
    one = tf.distribute.get_strategy()
    assert replicas.distributed(one, plain) is plain


def test_replicas_without_a_function_of_tensorflow(monkeypatch):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    batches = replicas.distributed(strategy, tf.data.Dataset.range(6).batch(2))
    name = "_create_device_dataset"
    with monkeypatch.context() as patch:
        patch.delattr(multi_device_iterator_ops, name)
        with pytest.raises(ValueError, match=f"{name} is gone from Keras 3"):
            iter(batches)
    assert hasattr(multi_device_iterator_ops, name)


@pytest.mark.parametrize("name", compat.OwnLoop._CALLED_BY_FIT)
def test_own_loop_without_a_method_of_keras(monkeypatch, name):
    lose(monkeypatch, keras.Model, name)
    with pytest.raises(ValueError, match=f"keras.Model.{name} is gone from Keras 3"):
        Counting().compile("sgd")


def lose(monkeypatch, owner, name):
    for base in owner.__mro__:
        if name in vars(base):
            monkeypatch.delattr(base, name)


def test_learning_rate():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    assert compat.learning_rate(keras.optimizers.SGD(schedule)) is schedule
    assert float(compat.learning_rate(keras.optimizers.SGD(0.5))) == 0.5


def test_momentum_slot():
    variables = [keras.Variable([1.0]), keras.Variable([2.0, 3.0])]
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.apply([tf.constant([1.0]), tf.constant([2.0, -4.0])], variables)
    # By hand: Keras' accumulator is 0.9 * 0 - 0.1 * gradient.
    np.testing.assert_allclose(
        compat.momentum_slot(optimizer, variables[1]), [-0.2, 0.4], rtol=1e-6
    )


def test_without_loss_scale():
    optimizer = keras.optimizers.SGD()
    assert compat.without_loss_scale(optimizer) is optimizer
    scaled = keras.optimizers.LossScaleOptimizer(optimizer)
    assert compat.without_loss_scale(scaled) is optimizer


def test_clipped_gradients():
    gradients = [tf.constant([3.0]), tf.constant([-4.0])]
    # By hand: a global norm of 5 becomes 1, norms of 3 and 4 become 2, values 3.
    for limit, expected in (
        ({"global_clipnorm": 1.0}, [0.6, -0.8]),
        ({"clipnorm": 2.0}, [2.0, -2.0]),
        ({"clipvalue": 3.0}, [3.0, -3.0]),
        ({}, [3.0, -4.0]),
    ):
        clipped = clipped_gradients(keras.optimizers.SGD(**limit), gradients)
        np.testing.assert_allclose(np.ravel(clipped), expected, rtol=1e-6)


def test_compiled_programs():
    compiled = tf.function(lambda x: x + 1.0, jit_compile=True)
    spec = tf.TensorSpec([3], tf.float32)
    text = compat.compiler_ir(compiled, [spec], "stablehlo")
    assert "stablehlo.add" in text and "tensor<3xf32>" in text
    artifact = compat.portable_artifact(text, "1.0.0")
    assert isinstance(artifact, bytes) and b"StableHLO_v1.0.0" in artifact


def test_bundle_protos():
    header_class, entry_class = compat.bundle_protos()
    header = header_class(num_shards=2)
    assert header_class.FromString(header.SerializeToString()).num_shards == 2
    assert header.endianness == header.LITTLE
    entry = entry_class(dtype=1, shard_id=1, offset=4, size=8)
    entry.shape.dim.add(size=2)
    assert [d.size for d in entry.shape.dim] == [2] and not entry.slices
    assert tf.dtypes.as_dtype(entry.dtype) == tf.float32


def test_function_in_graph():
    inner = tf.function(lambda x: x * 2.0, autograph=False)
    concrete = tf.function(lambda x: inner(x)).get_concrete_function(
        tf.TensorSpec([2], tf.float32)
    )
    call = next(op for op in concrete.graph.get_operations() if "Call" in op.type)
    graph = compat.function_in_graph(concrete.graph, call.get_attr("f").name)
    assert "Mul" in {op.type for op in graph.get_operations()}


def test_tensorflow_datasets():
    assert "tensorflow_datasets" in str(compat.tfds_folder())
    errors = compat.tfds_archive_errors()
    assert len(errors) == 2 and all(issubclass(e, Exception) for e in errors)


class Bare(keras.optimizers.LossScaleOptimizer):
    def __init__(self):
        """Without the inner one."""


def of_history(**history):
    output = types.SimpleNamespace(_keras_history=types.SimpleNamespace(**history))
    return types.SimpleNamespace(outputs=[output])


NOTHING = types.SimpleNamespace()
LOST = {
    "keras.Layer._flatten_layers": lambda: compat.flatten_layers(NOTHING),
    "keras.KerasTensor._keras_history": lambda: compat.operation_of_output(
        types.SimpleNamespace(outputs=[NOTHING])
    ),
    "keras.KerasTensor._keras_history.operation": lambda: compat.operation_of_output(
        of_history()
    ),
    "keras.KerasTensor._keras_history.node_index": lambda: compat.inputs_of_output(
        of_history(operation=NOTHING)
    ),
    "keras.Operation._inbound_nodes": lambda: compat.inputs_of_output(
        of_history(operation=NOTHING, node_index=0)
    ),
    "keras.Operation._inbound_nodes.input_tensors": lambda: compat.inputs_of_output(
        of_history(operation=types.SimpleNamespace(_inbound_nodes=[()]), node_index=0)
    ),
    "keras.Variable.value.handle": lambda: compat.variable_handle(
        types.SimpleNamespace(value=NOTHING)
    ),
    "keras.Optimizer._learning_rate": lambda: compat.learning_rate(NOTHING),
    "keras.optimizers.SGD._get_variable_index": lambda: compat.momentum_slot(
        NOTHING, None
    ),
    "keras.optimizers.SGD.momentums": lambda: compat.momentum_slot(
        types.SimpleNamespace(_get_variable_index=lambda variable: 0), None
    ),
    "keras.optimizers.LossScaleOptimizer.inner_optimizer": lambda: (
        compat.without_loss_scale(Bare())
    ),
    "keras.Optimizer._clip_gradients": lambda: clipped_gradients(NOTHING, []),
    "tf.function.experimental_get_compiler_ir": lambda: compat.compiler_ir(
        NOTHING, [], "stablehlo"
    ),
    "tf.Graph._get_function": lambda: compat.function_in_graph(NOTHING, "f"),
}


@pytest.mark.parametrize("name", LOST)
def test_a_lost_name_is_named(name):
    with pytest.raises(ValueError) as caught:
        LOST[name]()
    message = str(caught.value)
    assert message.startswith(f"{name} is gone from Keras {keras.__version__} with ")
    assert compat.TESTED in message


MODULES = {
    "tensorflow.compiler.mlir.stablehlo": lambda: compat.portable_artifact("", "1.0.0"),
    "tensorflow.core.protobuf.tensor_bundle_pb2": compat.bundle_protos,
    "tensorflow_datasets.core.download": compat.tfds_archive_errors,
}


@pytest.mark.parametrize("name", MODULES)
def test_a_lost_module_is_named(monkeypatch, name):
    parent, _, child = name.rpartition(".")
    monkeypatch.setitem(sys.modules, name, None)
    if parent in sys.modules:
        monkeypatch.delattr(sys.modules[parent], child, raising=False)
    with pytest.raises(ValueError, match=f"{name}.* is gone from Keras 3"):
        MODULES[name]()
