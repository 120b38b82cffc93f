"""Functions of ours that Keras' layers call in place of TensorFlow's."""

import concurrent.futures
import contextlib
import functools
import threading
import types
import typing
from collections.abc import Callable, Iterator, Mapping

import tensorflow as tf

from igam_tf import compat


class Replacement:
    """A function of ours in place of one of TensorFlow's that Keras' layers call.

        @Replacement.of(tf.nn, "moments", "tf.nn.moments")
        def moments(x, axes, ...): ...

        with moments.replacement.in_force() as calls:
            model(images)
        calls.count  # of this thread

    It works as long as Keras looks the name up in TensorFlow's public module at each
    call. `check` makes sure of it.

    Args:
        owner: module of TensorFlow.
        attribute: name of the function in it.
        name: what messages call it.
        function: ours, of the same arguments.

    Attributes:
        original: TensorFlow's function.
    """

    def __init__(
        self, owner: types.ModuleType, attribute: str, name: str, function: Callable
    ):
        self._owner, self._attribute, self._name = owner, attribute, name
        self.original = compat.attribute(
            owner, attribute, name.rpartition(".")[0], "inside of Keras' layers"
        )
        self._lock, self._depth = threading.Lock(), 0
        self._counts = threading.local()

        @functools.wraps(function)
        def counted(*args, **kwargs):
            for calls in getattr(self._counts, "open", ()):
                calls.count += 1
            return function(*args, **kwargs)

        counted.replacement = self  # type: ignore[attr-defined]
        self._function = counted

    @classmethod
    def of(
        cls, owner: types.ModuleType, attribute: str, name: str
    ) -> Callable[[Callable], typing.Any]:
        """Decorator: the function, with the replacement as its `replacement`."""
        return lambda function: cls(owner, attribute, name, function)._function

    @contextlib.contextmanager
    def in_force(self) -> Iterator["_Calls"]:
        """Within it, TensorFlow's name is our function; yields its `count` of calls.

        Other threads meet the replacement, too: it must compute what the original does.
        Replicas are threads that take turns: the last one to leave restores it.
        """
        with self._lock:
            self._depth += 1
            setattr(self._owner, self._attribute, self._function)
        calls, outer = _Calls(), getattr(self._counts, "open", ())
        self._counts.open = (*outer, calls)
        try:
            yield calls
        finally:
            self._counts.open = outer
            with self._lock:
                self._depth -= 1
                if not self._depth:
                    setattr(self._owner, self._attribute, self.original)

    def check(
        self, layers: Mapping[str, Callable[[], object]], consequence: str
    ) -> None:
        """Makes sure that Keras' layers call the replacement.

        Args:
            layers: dict from a name to a function without arguments that makes such a
                layer and calls it. Run in a thread of its own: outside of strategies,
                graphs and precisions of the caller.
            consequence: what would go wrong, a sentence without its full stop.

        Raises:
            ValueError: with the layers that do not, and the versions.
        """
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            counts = {
                n: pool.submit(self._count, f).result() for n, f in layers.items()
            }
        missed = [name for name, count in counts.items() if not count]
        if missed:
            raise ValueError(
                f"{compat.versions()} computes {', '.join(missed)} without calling "
                f"{self._name}, in whose place igam_tf puts a function of its own: "
                f"{consequence}. {compat.TESTED}"
            )

    def _count(self, call):
        with tf.device("CPU:0"), self.in_force() as calls:
            call()
        return calls.count


class _Calls:
    count = 0
