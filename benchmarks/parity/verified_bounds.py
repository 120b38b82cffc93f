"""Clean, under AutoAttack and verified: two small networks on scikit-learn's digits.

    python -m benchmarks.parity.verified_bounds --out=results/verified_digits.json

Trains a network of 8 and 16 filters and 32 hidden units plainly and on PGD images, and
evaluates both at several eps. A minute or two on a CPU.
"""

import argparse
import pathlib
import sys

EPS = (0.03, 0.1)
TRAINED_AT = 0.1


def main(arguments: list[str] | None = None) -> int:
    """Trains, evaluates, prints a table and writes results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args(arguments)

    import igam_tf
    from igam_tf import files

    rows = {}
    for name, model in networks(options.epochs).items():
        for eps in EPS:
            test = igam_tf.data.read("digits").test
            data = (test.images[: options.examples], test.labels[: options.examples])
            result = igam_tf.evaluate(
                model, data, ("clean", "autoattack"), eps=eps, verified=True,
                panel=False, progress=False,
            )  # fmt: skip
            label = f"{name}, eps {eps}"
            rows[label] = {"label": label, "evaluation": result}
            accuracies = [
                f"{100 * entry['accuracy']:.1f}"
                for entry in (*result["attacks"].values(), result["verified"])
            ]
            print(
                f"{label}: clean, AutoAttack, verified:",
                *accuracies,
                flush=True,
            )
            title = "verified bounds, digits"
            files.write_json(options.out, {"title": title, "rows": rows})
    return 0


def networks(epochs):
    """Both networks, trained."""
    import keras

    import igam_tf

    train, _ = igam_tf.data.load("digits", batch_size=32)
    found = {}
    for name in ("plain", "PGD-trained"):
        keras.utils.set_random_seed(0)
        model = igam_tf.models.small_cnn(
            num_classes=10, filters=(8, 16), hidden_units=32, activation="relu"
        )
        if name == "plain":
            method = igam_tf.training.StandardTraining(model)
        else:
            attack = igam_tf.attacks.pgd(eps=TRAINED_AT, num_steps=5)
            method = igam_tf.training.AdversarialTraining(model, attack)
        method.compile(keras.optimizers.Adam(2e-3))
        method.fit(train, epochs=epochs, verbose=0)
        found[name] = model
    return found


if __name__ == "__main__":
    sys.exit(main())
