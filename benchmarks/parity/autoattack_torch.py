"""The authors' AutoAttack on a `.keras` file: runs where PyTorch is, not TensorFlow.

`autoattack_reference.py` starts it, in an environment with torch, keras and
pyautoattack, and reads the JSON that it writes. Images are given in NHWC.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import time

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from pyautoattack import AutoAttack

ATTACKS = ("apgd-ce", "apgd-t", "fab-t", "square")
NORMS = {"linf": "Linf", "l2": "L2", "l1": "L1"}


class Counted(torch.nn.Module):
    """A Keras classifier of NHWC images as one of NCHW images, with its passes."""

    def __init__(self, model):
        super().__init__()
        self.model, self.forward_passes, self.backward_passes = model, 0, 0

    def forward(self, images):
        self.forward_passes += len(images)
        if torch.is_grad_enabled() and images.requires_grad:
            self.backward_passes += len(images)
        return self.model(images.permute(0, 2, 3, 1), training=False)


def run_attacks(model, images, labels, args):
    """Report: what stands after each attack, seconds, and forward, backward passes."""
    cpu_start = time.process_time()
    with torch.no_grad():
        logits = model(images)
    standing, num_classes = logits.argmax(1) == labels, logits.shape[1]
    attack = AutoAttack(
        model,
        norm=NORMS[args.norm],
        eps=args.eps,
        seed=args.seed,
        version=args.version,
    )
    # More target classes than wrong classes: an index error in the reference.
    for part in (attack.apgd_targeted, attack.fab):
        part.n_target_classes = min(part.n_target_classes, num_classes - 1)
    report = {"standing": {"clean": standing.tolist()}, "seconds": {}, "passes": {}}
    for name in args.attacks.split(","):
        if name == "apgd-t" and num_classes < 4:
            # The targeted DLR loss of the reference needs four classes.
            continue
        model.forward_passes = model.backward_passes = 0
        start = time.perf_counter()
        if standing.any():
            attack.attacks_to_run = [name]
            rows = standing.nonzero().squeeze(1)
            adversarial, _ = attack.run_standard_evaluation(
                images[rows], labels[rows], batch_size=args.batch_size
            )
            with torch.no_grad():
                standing[rows] = model(adversarial).argmax(1) == labels[rows]
        report["seconds"][name] = round(time.perf_counter() - start, 2)
        report["passes"][name] = [model.forward_passes, model.backward_passes]
        report["standing"][name] = standing.tolist()
        print(name, int(standing.sum()), report["seconds"][name], flush=True)
    report["cpu_seconds"] = round(time.process_time() - cpu_start, 2)
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", help=".npz with images and labels")
    parser.add_argument("out")
    parser.add_argument("--eps", type=float, required=True)
    parser.add_argument("--norm", choices=NORMS, default="linf")
    parser.add_argument("--version", choices=("standard", "plus"), default="standard")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch_size", type=int, default=250)
    parser.add_argument("--num_images", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--attacks", default=",".join(ATTACKS))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = Counted(keras.saving.load_model(args.model, compile=False)).eval()
    data = np.load(args.data)
    images, labels = (data[key][: args.num_images] for key in ("images", "labels"))
    images = torch.tensor(images.transpose(0, 3, 1, 2).copy())
    report = run_attacks(model, images, torch.tensor(labels.astype(np.int64)), args)
    report["num_parameters"] = model.model.count_params()
    report["versions"] = {
        "torch": torch.__version__,
        "keras": keras.__version__,
        "pyautoattack": importlib.metadata.version("pyautoattack"),
        "python": platform.python_version(),
    }
    with open(args.out, "w") as file:
        json.dump(report, file)


if __name__ == "__main__":
    main()
