"""Convolutions counted in graphs."""

import tensorflow as tf

from benchmarks.speed import convolutions, flops

# 2 * images * height * width * kernel * channels * filters
ONE = 2 * 2 * 8 * 8 * 9 * 3 * 4


def test_only_what_is_needed_counts_in_loops_and_functions():
    kernel = tf.random.normal([3, 3, 3, 4])

    @tf.function
    def gradient(images):
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            outputs = tf.reduce_sum(tf.nn.conv2d(images, kernel, 1, "SAME") ** 2)
        # That of the kernel is in the graph, and nobody wants it.
        return tape.gradient(outputs, [images, kernel])[0]

    @tf.function
    def attack(images):
        return tf.while_loop(
            lambda i, _: i < 5, lambda i, x: (i + 1, gradient(x)), (0, images)
        )

    images = tf.zeros([2, 8, 8, 3])
    found = convolutions.operations(gradient.get_concrete_function(images).graph)
    assert {key[0]: count for key, count in found.items()} == {
        "Conv2D": 1,
        "Conv2DBackpropInput": 1,
    }
    assert convolutions.flops(found) == 2 * ONE
    graph = attack.get_concrete_function(images).graph
    found = convolutions.operations(graph, loop_steps=5)
    assert convolutions.flops(found) == 5 * 2 * ONE


def test_each_convolution_can_be_timed_alone():
    shapes = (2, 4, 4, 4), (3, 3, 3, 4), 2
    for kind in convolutions.KINDS:
        assert flops.best_seconds(flops.convolution((kind, *shapes), "float32")) > 0
