"""The student's gradient as a Hessian-vector product, against reverse over reverse.

    python -m benchmarks.speed.hvp --depth=14 --width=4 --batch_size=32

The part of the student's gradient that flows through J_s = dP/dx is d/dw <J_s, v>,
with v = dL/dJ_s held fixed: the derivative along v of dP/dw.

- reverse over reverse: the outer tape differentiates J_s (what `igam_tf` does).
- forward over reverse: J_s first, v from it, then a forward accumulator along v over a
  tape of dP/dw; the pass of J_s is needed besides, to know v.
- reverse over forward: the directional derivative <J_s, v> by a forward accumulator
  over the forward pass alone, then one tape to the weights.

Each computes the whole gradient of the matching step (cross entropy included), without
weight decay and the teacher. The first table counts the convolutions that each needs.
"""

import os

from benchmarks.speed import timing


class Problem:
    """Student, teacher's gradient and losses of one IGAM step, as functions."""

    def __init__(self, args):
        import tensorflow as tf

        from benchmarks.speed import networks

        self.method = networks.compiled(networks.igam(args, weight_decay=0.0))
        self.images, self.labels = map(tf.constant, networks.random_batch(args))
        self.teacher = self.method.teacher_gradient(self.images, self.labels)
        self.weights = [v.value for v in self.method.student.trainable_variables]

    def objectives(self, images):
        """Sum of the true classes' probabilities per grey level, and cross entropy."""
        import tensorflow as tf

        from igam_tf.derivatives import moments

        with moments.twice_differentiable():
            logits = self.method.student(images, training=True)
        chosen = tf.gather(tf.nn.softmax(logits), self.labels, axis=1, batch_dims=1)
        probability = tf.reduce_sum(chosen) / self.method.pixel_range
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(self.labels, logits)
        return probability, tf.reduce_mean(losses)

    def matching(self, gradient):
        """The loss of an input gradient."""
        import tensorflow as tf

        losses, _ = self.method.discriminate(gradient, self.teacher)
        difference = tf.reduce_sum(tf.square(gradient - self.teacher))
        adversarial = self.method.adversarial_weight * tf.reduce_mean(losses)
        return self.method.difference_weight * difference - adversarial

    def input_gradient(self):
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.images)
            probability, cross_entropy = self.objectives(self.images)
        return tape.gradient(probability, self.images), cross_entropy

    def direction(self):
        """v = dL / dJ_s."""
        import tensorflow as tf

        gradient, _ = self.input_gradient()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(gradient)
            loss = self.matching(gradient)
        return tape.gradient(loss, gradient)

    def reverse_over_reverse(self):
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.weights)
            gradient, cross_entropy = self.input_gradient()
            loss = self.matching(gradient) + cross_entropy
        return tape.gradient(loss, self.weights)

    def forward_over_reverse(self):
        import tensorflow as tf

        direction = self.direction()
        with tf.autodiff.ForwardAccumulator(self.images, direction) as accumulator:
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(self.weights)
                probability, cross_entropy = self.objectives(self.images)
            gradients = tape.gradient(probability, self.weights)
        plain = tape.gradient(cross_entropy, self.weights)
        products = [accumulator.jvp(gradient) for gradient in gradients]
        return [p if h is None else h + p for h, p in zip(products, plain)]

    def reverse_over_forward(self):
        import tensorflow as tf

        direction = self.direction()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.weights)
            with tf.autodiff.ForwardAccumulator(self.images, direction) as accumulator:
                probability, cross_entropy = self.objectives(self.images)
            loss = accumulator.jvp(probability) + cross_entropy
        return tape.gradient(loss, self.weights)


FORMS = ("reverse_over_reverse", "forward_over_reverse", "reverse_over_forward")


def compile_forms(problem, jit_compile):
    """Compiled forms by name; those that TensorFlow refuses are named and left out."""
    import tensorflow as tf

    forms, values = {}, {}
    for name in FORMS:
        function = tf.function(
            getattr(problem, name), autograph=False, jit_compile=jit_compile
        )
        try:
            values[name] = [v.numpy() for v in function()]
        except (
            LookupError,
            TypeError,
            ValueError,
            RuntimeError,
            tf.errors.OpError,
        ) as error:
            message = str(error).strip().splitlines()[-1][:300]
            print(f"{name} does not run: {type(error).__name__}: {message}\n")
            continue
        forms[name] = function
    return forms, values


def print_values(problem, forms, values):
    """How far from reverse over reverse, and the convolutions in each graph."""
    import numpy as np

    from benchmarks.speed import convolutions

    reference, rows = values["reverse_over_reverse"], []
    names = problem.method.student.trainable_variables
    largest = max(np.abs(r).max() for r in reference)
    for name, function in forms.items():
        pairs = list(zip(values[name], reference, strict=True))
        worst = max(np.abs(v - r).max() / largest for v, r in pairs)
        found = convolutions.operations(function.get_concrete_function().graph)
        kinds = dict.fromkeys(convolutions.KINDS, 0)
        for (kind, *_), count in found.items():
            kinds[kind] += count
        work = f"{convolutions.flops(found) / 1e9:.2f}"
        rows.append([name, f"{worst:.1e}", *kinds.values(), work])
    header = ["", "difference / largest gradient", *convolutions.KINDS, "GFLOP"]
    timing.print_table(header, rows)
    print(f"Gradients of {len(names)} weights.\n")


def main(arguments=None):
    parser = timing.parser(__doc__)
    parser.add_argument("--jit_compile", choices=("true", "false"), default="false")
    args = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    timing.print_setting(args)
    problem = Problem(args)
    forms, values = compile_forms(problem, args.jit_compile == "true")
    print_values(problem, forms, values)
    cases = {name: lambda f=f: f()[0].numpy() for name, f in forms.items()}
    series = timing.alternate(cases, args.rounds)
    timing.print_series(series, "reverse_over_reverse")


if __name__ == "__main__":
    main()
