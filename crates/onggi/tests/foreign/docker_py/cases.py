"""Cases, run one after the other by `run()`. Each failure is told with its trace; the exit code counts."""

import contextlib
import sys
import time
import traceback

import docker

LIMIT = 60
_CASES = []

# Slow machines: what waits on purpose names its own limit.
client = docker.from_env(timeout=LIMIT)


def case(function):
    """Marks a function as a case."""
    _CASES.append(function)
    return function


def until(what, ask):
    """Asks until the answer is true, and returns it."""
    end = time.monotonic() + LIMIT
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"waited {LIMIT} s for {what}")
        time.sleep(0.02)


@contextlib.contextmanager
def container(command="sleep 1000", image="busybox", **options):
    """A container that runs, and goes at the end."""
    made = client.containers.run(image, command, detach=True, **options)
    try:
        yield made
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            made.remove(force=True, v=True)


@contextlib.contextmanager
def raises(kind, status=None, text=""):
    """What is inside has to fail as this exception, with this status and text."""
    try:
        yield
    except kind as error:
        found = getattr(error, "status_code", None)
        assert status is None or found == status, f"{found} {error}"
        assert text in str(error), str(error)
        return
    raise AssertionError(f"no {kind.__name__}")


def run():
    """Runs the cases."""
    failed = 0
    for function in _CASES:
        try:
            function()
            print("ok", function.__name__, flush=True)
        except Exception:
            failed += 1
            print("FAILED", function.__name__, flush=True)
            traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)
