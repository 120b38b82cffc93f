"""Trains or attacks with an exported folder, by JAX and NumPy alone.

    python -m igam_tf.export.runner STEP --data=train.npz --epochs=200 --out=trained
    python -m igam_tf.export.runner ATTACK --data=test.npz --state=trained/state.npz

The first form runs an export of `igam_tf.export_step`, and goes on where `--out` holds
a state. With `--test` and `--attack` it also measures clean accuracy and accuracy under
the attack whenever it saves. The second form runs an export of `export_attack`.

Data are .npz files with `images` (uint8, or float32 in [0, 1]) and `labels`. Set
JAX_COMPILATION_CACHE_DIR to a folder to compile once only.
"""

import argparse
import json
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        print(f"error: {missing} is not installed: pip install jax", file=sys.stderr)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        again = "; the same command goes on after the last saved epoch" * bool(args.out)
        print(f"interrupted{again}", file=sys.stderr)
    return 1


def _run(args):
    from igam_tf.export import runner
    from igam_tf.export.runner import training

    exported = runner.load(args.folder)
    images, labels = training.read_arrays(args.data)
    if exported.manifest["kind"] == "attack":
        if args.state:
            exported.load_state(args.state)
        result = {"attack": repr(exported), **exported.accuracy(images, labels)}
        print(json.dumps(result))
        return 0
    if args.epochs is None or args.out is None:
        raise ValueError("training takes --epochs and --out; see --help.")
    training.train(
        exported,
        images,
        labels,
        epochs=args.epochs,
        out=args.out,
        seed=args.seed,
        save_every=args.save_every,
        evaluate=_evaluation(args),
        log=lambda line: print(line, flush=True),
    )
    return 0


def _evaluation(args):
    """Function of the state to test accuracies, or None."""
    from igam_tf.export import runner
    from igam_tf.export.runner import training

    if bool(args.test) != bool(args.attack):
        raise ValueError(
            f"--test={args.test} and --attack={args.attack}: expected both or neither."
        )
    if not args.test:
        return None
    attack = runner.load(args.attack)
    images, labels = training.read_arrays(args.test)

    def evaluate(state):
        found = attack.accuracy(images, labels, weights=state)
        return {f"test_{name}": value for name, value in found.items()}

    return evaluate


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m igam_tf.export.runner",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", help="exported step or attack")
    parser.add_argument("--data", required=True, help=".npz of images and labels")
    parser.add_argument("--epochs", type=int, help="in all, resumed ones included")
    parser.add_argument("--out", help="folder for state.npz and history.csv")
    parser.add_argument("--seed", type=int, default=0, help="seed of the shuffling")
    parser.add_argument("--save_every", type=int, default=1, help="in epochs")
    parser.add_argument("--test", help=".npz to measure accuracies on while training")
    parser.add_argument("--attack", help="exported attack to measure them with")
    parser.add_argument("--state", help="state.npz to attack; the export's by default")
    return parser


if __name__ == "__main__":
    sys.exit(main())
