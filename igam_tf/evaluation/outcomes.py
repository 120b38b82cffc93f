"""Which images a classifier got right, in a form that fits a JSON file."""

import base64
import hashlib

import numpy as np


def packed(is_correct: np.ndarray) -> str:
    """Bool array (n,) as text: one bit an image, in base64, a fifth of a byte each."""
    return base64.b64encode(np.packbits(np.asarray(is_correct, bool)).data).decode(
        "ascii"
    )


def unpacked(text: str, num_examples: int) -> np.ndarray:
    """The bool array (num_examples,) of a `packed` text.

    Raises:
        ValueError: if the text holds another number of images.
    """
    bits = np.frombuffer(base64.b64decode(text), np.uint8)
    if len(bits) != -(-num_examples // 8):
        raise ValueError(
            f"outcomes of {8 * len(bits) - 7} to {8 * len(bits)} images where "
            f"{num_examples} were expected; evaluate the model again."
        )
    return np.unpackbits(bits, count=num_examples).astype(bool)


class Digest:
    """What tells one sequence of labelled images from another.

    Args:
        state: what an interrupted evaluation has kept of an earlier one's `state`.
    """

    def __init__(self, state: str = "") -> None:
        self.state = state

    def add(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Takes in a batch: float32 images and int32 labels."""
        for image, label in zip(images, labels, strict=True):
            found = hashlib.sha256(self.state.encode())
            found.update(np.ascontiguousarray(image).data)
            found.update(str(int(label)).encode())
            self.state = found.hexdigest()[:32]
