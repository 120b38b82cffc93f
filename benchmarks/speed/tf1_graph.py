"""The step of IGAM as TensorFlow 1 code is written: one static graph, two calls.

Our own code after what theirs does: grey levels through a feed, variables
by name, fused batch norm in training mode for all three networks, whose statistics
every run updates in place; the student's step and the discriminator's each compute
both input gradients. It runs on `tf.compat.v1` inside of TensorFlow 2.
"""

import numpy as np
import tensorflow as tf

from benchmarks.speed import networks

v1 = tf.compat.v1

STAGES = ((1, 1), (2, 2), (3, 2))


class Step:
    """Graph, session and the two updates.

    Args:
        method: compiled IGAM of our package, whose networks and weights are copied.
        depth, width: of student and teacher.
        settings: dict of adversarial_weight, difference_weight, weight_decay,
            learning_rate, momentum.
    """

    def __init__(self, method, depth, width, settings):
        parts = ("student", "teacher", "discriminator")
        values = {part: networks.weights(getattr(method, part)) for part in parts}
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.images = v1.placeholder(tf.float32, [None, 32, 32, 3])
            self.labels = v1.placeholder(tf.int32, [None])
            self._build(depth, width, settings)
            self.session = v1.Session()
            self.session.run(v1.global_variables_initializer())
            self._load(values)

    def _build(self, depth, width, settings):
        units = (depth - 2) // 6
        gradients = {}
        for part in ("student", "teacher"):
            with v1.variable_scope(part):
                logits = _wide_resnet(self.images, units, width)
            chosen = tf.one_hot(self.labels, 10) * tf.nn.softmax(logits)
            gradients[part] = tf.gradients(tf.reduce_sum(chosen), self.images)[0]
            if part == "student":
                self.cross_entropy = _mean_cross_entropy(self.labels, logits)
        pair = [gradients["student"], gradients["teacher"]]
        with v1.variable_scope("discriminator"):
            logits = _discriminator(tf.concat(pair, axis=0))
        count = tf.shape(self.images)[0]
        players = tf.concat(
            [tf.zeros([count], tf.int32), tf.ones([count], tf.int32)], 0
        )
        discriminator_loss = _mean_cross_entropy(players, logits)
        difference = tf.reduce_sum(tf.square(pair[0] - pair[1]))
        decay, rate = settings["weight_decay"], settings["learning_rate"]
        self.loss = (
            self.cross_entropy
            - settings["adversarial_weight"] * discriminator_loss
            + settings["difference_weight"] * difference
            + decay * _decay("student")
        )
        optimizer = v1.train.MomentumOptimizer(rate, settings["momentum"])
        self.student_update = optimizer.minimize(
            self.loss, var_list=_trained("student")
        )
        optimizer = v1.train.MomentumOptimizer(rate, settings["momentum"])
        self.discriminator_update = optimizer.minimize(
            discriminator_loss + decay * _decay("discriminator"),
            var_list=_trained("discriminator"),
        )

    def _load(self, values):
        variables = {v.name: v for v in v1.global_variables()}
        for part, weights in values.items():
            for name, value in weights.items():
                variables[f"{part}/{name}:0"].load(value, self.session)

    def run(self, images, labels, step, every):
        """One step of the loop; returns the loss."""
        feed = {self.images: images * np.float32(255), self.labels: labels}
        _, loss = self.session.run([self.student_update, self.loss], feed)
        if step % every == 0:
            self.session.run(self.discriminator_update, feed)
        return loss


def _wide_resnet(images, units, width):
    x = _conv(_zero_mean_unit_norm(images), 16, 3, 1, "init_conv")
    for stage, first_stride in STAGES:
        filters = 16 * width * 2 ** (stage - 1)
        for unit in range(units):
            stride = first_stride if unit == 0 else 1
            name, shared = f"unit_{stage}_{unit}", (stage, unit) == (1, 0)
            x = _residual_unit(x, filters, stride, shared, name)
    x = _leaky_relu(_batch_norm(x, "unit_last_norm"))
    return _dense(tf.reduce_mean(x, [1, 2]), 10, "logit")


def _residual_unit(x, filters, stride, shared, name):
    shortcut = x
    x = _leaky_relu(_batch_norm(x, f"{name}_1_norm"))
    if shared:
        shortcut = x
    x = _conv(x, filters, 3, stride, f"{name}_conv1")
    x = _leaky_relu(_batch_norm(x, f"{name}_2_norm"))
    x = _conv(x, filters, 3, 1, f"{name}_conv2")
    missing = filters - shortcut.shape[-1]
    if missing:
        window = [1, stride, stride, 1]
        shortcut = tf.nn.avg_pool2d(shortcut, window, window, "VALID")
        half = missing // 2
        shortcut = tf.pad(shortcut, [[0, 0], [0, 0], [0, 0], [half, half]])
    return x + shortcut


def _discriminator(gradients):
    x = _zero_mean_unit_norm(gradients)
    for i, filters in enumerate((16, 32, 64, 128, 256)):
        x = _conv(x, filters, 4, 2, f"conv{i}", bias=True)
        x = _leaky_relu(_batch_norm(x, f"norm{i}"))
    return _dense(tf.reshape(x, [-1, 256]), 2, "logit")


def _zero_mean_unit_norm(x):
    x -= tf.reduce_mean(x, axis=[1, 2, 3], keepdims=True)
    return tf.nn.l2_normalize(x, axis=[1, 2, 3])


def _leaky_relu(x):
    return tf.where(tf.less(x, 0.0), 0.1 * x, x)


def _conv(x, filters, size, stride, name, bias=False):
    with v1.variable_scope(name):
        kernel = v1.get_variable("kernel", [size, size, x.shape[-1], filters])
        x = tf.nn.conv2d(x, kernel, [1, stride, stride, 1], "SAME")
        return x + v1.get_variable("bias", [filters]) if bias else x


def _dense(x, units, name):
    with v1.variable_scope(name):
        kernel = v1.get_variable("kernel", [x.shape[-1], units])
        return tf.matmul(x, kernel) + v1.get_variable("bias", [units])


def _batch_norm(x, name):
    with v1.variable_scope(name):
        gamma, beta = (v1.get_variable(n, [x.shape[-1]]) for n in ("gamma", "beta"))
        outputs, mean, variance = v1.nn.fused_batch_norm(x, gamma, beta, epsilon=1e-3)
        updates = []
        for statistic, value in (("mean", mean), ("variance", variance)):
            moving = v1.get_variable(
                f"moving_{statistic}", value.shape, trainable=False
            )
            updates.append(v1.assign_sub(moving, 0.1 * (moving - value)))
        with tf.control_dependencies(updates):
            return tf.identity(outputs)


def _mean_cross_entropy(labels, logits):
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    )


def _trained(part):
    return v1.trainable_variables(f"{part}/")


def _decay(part):
    kernels = [v for v in _trained(part) if v.name.endswith("/kernel:0")]
    return tf.add_n([tf.nn.l2_loss(kernel) for kernel in kernels])
