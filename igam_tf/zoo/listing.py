"""`igam_tf.zoo.list`, in a file that has no use for the built-in of that name."""

from collections.abc import Sequence

from igam_tf.zoo.entries import names


def list(*, shipped: bool | None = None, dataset: str | None = None) -> Sequence[str]:
    """Names of the networks, those that travel with the package first.

    Args:
        shipped: True for those only, False for the others, None for all.
        dataset: only networks of this data set.

    Returns:
        List of names, which `igam_tf.zoo.load` takes.

    Raises:
        ValueError: if there is no network of that data set; says of which there are.
    """
    return names(shipped=shipped, dataset=dataset)
