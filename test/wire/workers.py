"""Runs a function in several processes at once: real concurrency, no interpreter lock between them.

A function gets its number and its arguments and returns something that can be pickled. An exception
in one of them becomes `Failed` here, with its traceback. Each process is waited for, for a limited
time, and killed after it.
"""

import multiprocessing
import os
import time
import traceback

from resp import TIMEOUT_S

RUN_TIMEOUT_S = 12 * TIMEOUT_S
CONTEXT = multiprocessing.get_context("fork")


class Failed(Exception):
    pass


def _body(pipe, barrier, function, number, args):
    try:
        barrier.wait(TIMEOUT_S)
        result = ("done", function(number, *args))
    except BaseException:       # whatever it was must reach the parent
        result = ("failed", traceback.format_exc())
    pipe.send(result)
    pipe.close()
    os._exit(0)


def run(jobs):
    """`jobs` are (function, arguments); all start together. The list of their results."""
    barrier = CONTEXT.Barrier(len(jobs))
    started = []
    for number, (function, args) in enumerate(jobs):
        ours, theirs = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=_body, args=(theirs, barrier, function, number, args))
        process.start()
        theirs.close()
        started.append((process, ours))
    deadline = time.monotonic() + RUN_TIMEOUT_S
    results, failures = [], []
    for process, pipe in started:
        try:
            if not pipe.poll(max(0, deadline - time.monotonic())):
                failures.append("%s doesn't end" % process.name)
                process.kill()
                continue
            kind, result = pipe.recv()
            (results if kind == "done" else failures).append(result)
        except EOFError:
            failures.append("%s died" % process.name)
        finally:
            process.join(1)
            if process.is_alive():
                process.kill()
                process.join()
            pipe.close()
    if failures:
        raise Failed("\n".join(failures))
    return results
