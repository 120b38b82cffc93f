"""Numbers of the Square attack that do not depend on images: sizes and patterns."""

import functools

import numpy as np

# Queries after which the area of a square is halved (for 10,000 queries in the paper;
# AutoAttack runs 5,000 on the same schedule).
_HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
# How fast a bump falls off, and the order of the norm.
_FALL = {"l2": 2, "l1": 4}
_ORDERS = {"l2": 2, "l1": 1}


def square_sides(
    num_queries: int, p_init: float, height: int, width: int, norm: str
) -> np.ndarray:
    """Side of the square of each query: the share p of all pixels, falling.

    Args:
        num_queries: number of queries.
        p_init: share of the pixels at the start.
        height: of the images.
        width: of the images.
        norm: "linf", or "l2" and "l1" for odd sides of at least 3.

    Returns:
        int32 array (num_queries,).
    """
    queries = np.arange(num_queries)
    halvings = np.searchsorted(_HALVED_AFTER, queries, side="left")
    sides = np.round(np.sqrt(p_init / 2.0**halvings * height * width)).astype(np.int32)
    if norm == "linf":
        sides = np.maximum(sides, 1)
    else:
        sides = np.maximum(sides, 3)
        sides += sides % 2 == 0
    return np.minimum(sides, min(height, width))


@functools.cache
def bumps(side: int, norm: str) -> np.ndarray:
    """Two bumps of opposite sign, one above the other, of norm 1: (side, side).

    Each bump falls off from its centre: at Chebyshev distance m it is the sum of
    1 / (k + 1)^2 over the rings k >= m (Andriushchenko et al. 2020, Section 3.3), and
    in L1 of 1 / (k + 1)^4 (the code of Croce & Hein 2021).
    """
    half = side // 2
    parts = [_bump(half, side, norm)] if half else []
    pattern = np.concatenate([*parts, -_bump(side - half, side, norm)])
    return (pattern / _length(pattern, norm)).astype(np.float32)


def tiles(height: int, width: int) -> tuple[list[tuple[int, int]], int]:
    """Corners (row, column) and side of the tiles that the start in L2 and L1 has.

    There is at least one, of narrow images too (the authors' are square).
    """
    side = min(max(height // 5, 1), width)
    first = max((height - 5 * side) // 2, 0)
    rows = [first + i * side for i in range(height // side)]
    left = min(first, width - side)
    columns = [left + i * side for i in range(width // side)]
    corners = [
        (row, column)
        for row in rows
        for column in columns
        if row + side <= height and column + side <= width
    ]
    return corners, side


def _bump(height, width, norm):
    rings = max(height // 2, width // 2) + 1
    tails = np.cumsum((1.0 / np.arange(1, rings + 1) ** _FALL[norm])[::-1])[::-1]
    rows = np.abs(np.arange(height) - height // 2)
    columns = np.abs(np.arange(width) - width // 2)
    bump = tails[np.maximum(rows[:, None], columns[None, :])]
    return bump / _length(bump, norm)


def _length(values, norm):
    return np.linalg.norm(values.ravel(), ord=_ORDERS[norm])
