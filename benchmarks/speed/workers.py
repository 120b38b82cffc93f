"""Processes that do one thing on request, so that they can alternate with others.

Needs the standard library only: a worker may run where TensorFlow is not.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys

from benchmarks.speed import timing


class Worker:
    """Another process that does one thing on request, and says how long it took.

    Args:
        command: list of strings, a program that calls `serve`.
    """

    def __init__(self, command):
        environment = {**os.environ, "PYTHONPATH": str(timing.REPOSITORY)}
        self.command = [str(part) for part in command]
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=timing.REPOSITORY,
            env=environment,
        )

    def ask(self, name, **arguments):
        """The answer of the worker's function of that name, with "wall" and "cpu".

        Raises:
            RuntimeError: if the worker failed or ended.
        """
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([name, arguments]) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"{' '.join(self.command)} ended with status {self.process.wait()}; "
                "its message is above."
            )
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{name} in {self.command[0]}: {answer['error']}")
        return answer

    def time(self, name, **arguments):
        """Its seconds, as a `timing.Sample`."""
        answer = self.ask(name, **arguments)
        return timing.Sample(answer["wall"], answer["cpu"])

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait()


def choose_threads(worker, name, **arguments):
    """Sets the worker's number of threads, one or all, to the faster; returns it.

    The worker has a function `threads` of a count; `name` and its arguments are tried.
    """
    seconds = {}
    for count in {1, os.cpu_count()}:
        worker.ask("threads", count=count)
        worker.ask(name, **arguments)
        seconds[count] = worker.time(name, **arguments).wall
    best = min(seconds, key=seconds.get)
    worker.ask("threads", count=best)
    return best


def serve(functions):
    """Answers a `Worker`: functions by name, keyword arguments to a dict or None."""
    # Whatever the libraries print goes elsewhere: standard output is the protocol's.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        result = {}

        def call(name=name, arguments=arguments, result=result):
            result.update(functions[name](**arguments) or {})

        try:
            answer = dataclasses.asdict(timing.once(call))
            answer.update(result)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
