"""Looks at many images at once, in threads; goes on past those that are unreadable."""

from __future__ import annotations

import concurrent.futures
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tqdm

from igam_tf.data.own import pictures

if TYPE_CHECKING:
    from igam_tf.data.streamed import Source

#: Files that are read at once; a pool that is never idle for want of them.
PORTION = 256


def readable(
    source: Source, count: int, *, say: str = ""
) -> tuple[np.ndarray, dict[int, Exception]]:
    """The first images that can be decoded to their end; at an eighth of the size.

    Args:
        source: `Source`.
        count: how many are wanted; no more are looked at than it takes.
        say: title of the progress bar; "" for none.

    Returns:
        Tuple (places of at most `count` images, dict from the places of those between
        them that cannot be decoded to what is wrong).
    """

    def look(place):
        try:
            pictures.check(source.read(place)[0])
        except pictures.UnreadableError as error:
            return error
        return None

    kept, bad = first_good(look, range(len(source)), count, say=say, keep=None)
    return np.array(kept, int), bad


def first_good(
    function: Callable,
    values: Sequence,
    count: int,
    *,
    say: str = "",
    keep: Callable | None,
    replace: bool = True,
) -> tuple[list[int], dict[int, Exception]]:
    """Goes down a list until so many of its values have given no error.

    Args:
        function: of a value; returns an error for one that is bad. In threads.
        values: the list.
        count: how many good ones are wanted.
        say: title of the progress bar; "" for none.
        keep: function of the place among the good ones, and of the result, for each
            good one in order.
        replace: whether others stand in for bad ones; if not, the list is its first
            `count` values.

    Returns:
        Tuple (places of the good ones, dict from the places of bad ones to the errors).
    """
    kept: list[int] = []
    bad: dict[int, Exception] = {}
    end = len(values) if replace else min(count, len(values))
    start = 0
    with tqdm.tqdm(
        total=min(count, end), desc=say, unit=" images", delay=1, leave=False,
        disable=not say,
    ) as bar:  # fmt: skip
        while len(kept) < count and start < end:
            stop = min(end, start + count - len(kept))
            for place, found in enumerate(
                in_threads(function, values[start:stop]), start
            ):
                if isinstance(found, Exception):
                    bad[place] = found
                    continue
                if keep is not None:
                    keep(len(kept), found)
                kept.append(place)
                bar.update()
            start = stop
    return kept, bad


def in_threads(function: Callable, values: Iterable) -> Iterator:
    """Results in order; not more than a few are waiting (Pillow decodes unlocked)."""
    rest = iter(values)
    while portion := [value for _, value in zip(range(PORTION), rest)]:
        yield from _threads().map(function, portion)


@functools.cache
def _threads() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count())
