"""Our IGAM step against the same step as the authors write it, in one process.

    python -m benchmarks.speed.tf1_step --depth=14 --width=4 --batch_size=32

"TF1 graph" is `tf1_graph.py`; "ours, their settings" computes the same numbers
(`igam_tf.training.reference`), "ours" has the package's defaults (the teacher in
inference mode). Whole cycles of the discriminator are timed: five steps.
"""

from benchmarks.speed import timing


def settings_of(networks):
    from igam_tf.training import reference

    chosen = reference.arguments()
    keys = ("adversarial_weight", "difference_weight", "weight_decay")
    return {
        **{key: chosen[key] for key in keys},
        "learning_rate": networks.LEARNING_RATE,
        "momentum": networks.MOMENTUM,
    }


def make_cases(args):
    """Name -> function of a cycle of steps, which returns the losses' last value."""
    from benchmarks.speed import networks, tf1_graph
    from igam_tf.training import reference

    theirs = {**reference.arguments(), "matching_start": 0}
    method = networks.compiled(networks.igam(args, **theirs))
    step = tf1_graph.Step(method, args.depth, args.width, settings_of(networks))
    images, labels = networks.random_batch(args)

    def graph():
        for index in range(networks.CYCLE):
            loss = step.run(images, labels, index, networks.CYCLE)
        return float(loss)

    batches = networks.constant_batches(args)
    check_losses(method, batches, step, images, labels)
    defaults = networks.compiled(networks.igam(args))
    return {
        "TF1 graph": graph,
        "ours, their settings": networks.steps(method, batches),
        "ours": networks.steps(defaults, batches),
    }


def check_losses(method, batches, step, images, labels, count=3):
    """Prints the loss of the first steps from the same weights."""
    from benchmarks.speed import networks

    one_step, rows = networks.steps(method, batches, count=1), []
    for index in range(count):
        method.reset_metrics()
        ours, theirs = one_step(), step.run(images, labels, index, networks.CYCLE)
        difference = f"{abs(ours / theirs - 1):.1e}"
        rows.append([index, f"{ours:.6f}", f"{theirs:.6f}", difference])
    timing.print_table(["step", "loss, ours", "loss, TF1", "relative difference"], rows)


def main(arguments=None):
    args = timing.parser(__doc__).parse_args(arguments)
    timing.print_setting(args)
    series = timing.alternate(make_cases(args), args.rounds, per=5)
    timing.print_series(series, "TF1 graph")


if __name__ == "__main__":
    main()
