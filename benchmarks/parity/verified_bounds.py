"""Clean, under AutoAttack and verified: small networks on scikit-learn's digits.

    python -m benchmarks.parity.verified_bounds --out=results/verified_digits.json

Trains a network of 8 and 16 filters and 32 hidden units plainly, on PGD images, and by
IGAM from that last one, and evaluates each at several eps. Three minutes a network on
one core; killed, the same command goes on with the next eps. `python -m
tools.readme_tables` makes the table of docs/evaluation.md of it.
"""

import argparse
import json
import pathlib
import sys

EPS = (0.01, 0.03, 0.05, 0.1)
TRAINED_AT = 0.1
NETWORKS = ("plain", "IGAM", "PGD-trained")


def main(arguments: list[str] | None = None) -> int:
    """Trains, evaluates, prints a table and writes results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument(
        "--models_dir", type=pathlib.Path, help="keeps the networks, and loads them"
    )
    options = parser.parse_args(arguments)

    import igam_tf
    from benchmarks.processor import processor
    from igam_tf import files

    command = (
        "python -m benchmarks.parity.verified_bounds "
        f"--examples={options.examples} --epochs={options.epochs}"
    )
    rows = _rows_of(options.out, command)
    test = igam_tf.data.read("digits").test
    data = (test.images[: options.examples], test.labels[: options.examples])
    for name in options.networks:
        labels = {eps: f"{name}, eps {eps}" for eps in EPS}
        if all(label in rows for label in labels.values()):
            continue
        model = network(name, options.epochs, options.models_dir)
        for eps, label in labels.items():
            if label in rows:
                continue
            found = igam_tf.evaluate(
                model, data, ("clean", "autoattack"), eps=eps, verified=True,
                panel=False, progress=False,
            )  # fmt: skip
            rows[label] = {"label": label, "network": name, "evaluation": found}
            print(
                f"{label}: clean, AutoAttack, verified:", *_percents(found), flush=True
            )
            result = {
                "title": "verified bounds, digits",
                "command": command,
                "processor": processor(),
                "rows": rows,
            }
            files.write_json(options.out, result)
    return 0


def _rows_of(path, command):
    """What a command that was killed has evaluated; a table is of one command."""
    if not path.exists():
        return {}
    result = json.loads(path.read_text())
    if result.get("command") != command:
        raise ValueError(
            f"{path} holds what `{result.get('command')}` made, not `{command}`; "
            "pass its options to go on with it, or another --out."
        )
    return result["rows"]


def network(name, epochs, folder):
    """A trained network, or the one that a folder has."""
    import keras

    path = folder / f"{name}-{epochs}.keras" if folder else None
    if path and path.exists():
        return keras.saving.load_model(path, compile=False)
    model = _trained(name, epochs, folder)
    if path:
        folder.mkdir(parents=True, exist_ok=True)
        model.save(path)
    return model


def _trained(name, epochs, folder):
    import keras

    import igam_tf
    from igam_tf import models, training

    teacher = network("PGD-trained", epochs, folder) if name == "IGAM" else None
    train, _ = igam_tf.data.load("digits", batch_size=32)
    keras.utils.set_random_seed(0)
    model = models.small_cnn(
        num_classes=10, filters=(8, 16), hidden_units=32, activation="relu"
    )
    if name == "plain":
        method = training.StandardTraining(model)
    elif name == "IGAM":
        # The weights of the quickstart.
        method = training.IGAM(
            model, teacher, models.discriminator(
                gradient_shape=(8, 8, 1), channels=(16, 32)
            ),
            adversarial_weight=0.2, difference_weight=1.0, pixel_range=1.0,
            difference_reduction="mean",
        )  # fmt: skip
    else:
        attack = igam_tf.attacks.pgd(eps=TRAINED_AT, num_steps=5)
        method = training.AdversarialTraining(model, attack)
    method.compile(keras.optimizers.Adam(2e-3))
    method.fit(train, epochs=epochs, verbose=0)
    return model


def _percents(found):
    entries = (*found["attacks"].values(), found["verified"])
    return [f"{100 * entry['accuracy']:.1f}" for entry in entries]


if __name__ == "__main__":
    sys.exit(main())
