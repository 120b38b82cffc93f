"""Multiplications and additions of the convolutions in a TensorFlow graph.

Counted from the shapes of those operations that the results need; TensorFlow removes
the others before it runs a graph. A convolution and its two gradients cost the same:
two operations for each weight, output pixel and image.
"""

import collections

import tensorflow as tf

from igam_tf import compat

KINDS = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")


def operations(graph, *, loop_steps=1):
    """The convolutions that a function's results need, with how often each runs.

    Args:
        graph: tf.Graph of a concrete function, traced with known shapes.
        loop_steps: how often the body of a loop runs.

    Returns:
        collections.Counter of (kind, output shape, kernel shape, stride); the output
        is that of the forward convolution.
    """
    found = collections.Counter()
    ends = [t.op for t in graph.outputs] + list(graph.control_outputs)
    for op in _needed(ends):
        if op.type in KINDS:
            found[_convolution(op)] += 1
        for function, times in _called(op, graph, loop_steps):
            inner = operations(function, loop_steps=loop_steps)
            for key, count in inner.items():
                found[key] += times * count
    return found


def flops(found):
    """Operations of what `operations` found."""
    return sum(count * flops_of(key) for key, count in found.items())


def flops_of(key):
    _, (images, height, width, filters), (rows, columns, channels, _), _ = key
    return 2 * images * height * width * filters * rows * columns * channels


def step_operations(method, images, labels, *, phase, num_steps=1):
    """Convolutions of one student step of a training method, any attack included.

    Args:
        method: compiled TrainingMethod.
        images, labels: NumPy arrays of one batch.
        phase: one of the method's phases.
        num_steps: steps of its attack.
    """
    return _traced(
        method, "_student_gradients", (images, labels), num_steps, phase=phase
    )


def discriminator_operations(method, images, labels):
    """Convolutions of one discriminator step of IGAM, with the teacher's gradient."""
    targets = (images, ())
    batch = images, labels, targets, {"student_input": images}
    return _traced(method, "_discriminator_gradients", batch, 1)


def _traced(method, name, batch, num_steps, **kwargs):
    def step():
        seed, count = tf.zeros([2], tf.int32), tf.constant(float(len(batch[0])))
        tensors = tf.nest.map_structure(tf.constant, batch)
        return getattr(method, name)(tensors, seed, count, **kwargs)

    graph = tf.function(step, autograph=False).get_concrete_function().graph
    return operations(graph, loop_steps=num_steps)


def _needed(ends):
    """Operations that these need, themselves included."""
    seen, stack = set(), list(ends)
    while stack:
        op = stack.pop()
        if op not in seen:
            seen.add(op)
            stack.extend(t.op for t in op.inputs)
            stack.extend(op.control_inputs)
    return seen


def _called(op, graph, loop_steps):
    """Graphs of the functions that an operation runs."""
    times = loop_steps if op.type in ("While", "StatelessWhile") else 1
    for name in ("f", "body"):
        value = op.node_def.attr.get(name)
        if value is not None and value.func.name:
            yield compat.function_in_graph(graph, value.func.name), times


def _convolution(op):
    outputs, kernel = {
        "Conv2D": lambda: (op.outputs[0].shape, op.inputs[1].shape),
        "Conv2DBackpropInput": lambda: (op.inputs[2].shape, op.inputs[1].shape),
        "Conv2DBackpropFilter": lambda: (op.inputs[2].shape, op.outputs[0].shape),
    }[op.type]()
    if not (outputs.is_fully_defined() and kernel.is_fully_defined()):
        raise ValueError(
            f"{op.name}: shapes {outputs}, {kernel} are not known; trace the function "
            "with a batch of fixed size."
        )
    return op.type, tuple(outputs), tuple(kernel), op.get_attr("strides")[1]
