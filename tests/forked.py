"""Programs that start without importing anything: children of one process that has imported what commands import."""

import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

PIPE = subprocess.PIPE
MODULES = (
    *(f"pix2pix.{name}" for name in ("cli.main", "check", "datasets.download", "inference.files", "training.trainer")),
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
)
COMMAND = "import sys\nfrom pix2pix.cli.main import main\nsys.exit(main(sys.argv[1:]))"

_context = multiprocessing.get_context("forkserver") if sys.platform != "win32" else multiprocessing
if sys.platform != "win32":
    _context.set_forkserver_preload([*MODULES])


def become_a_program(stdin: int, stdout: int, stderr: int) -> None:
    """Gives this forked process a session of its own and these descriptors as its standard streams."""
    os.setsid()
    os.dup2(stdin, 0), os.dup2(stdout, 1), os.dup2(stderr, 2)
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _run(code: str, arguments: list[str], streams: list[Connection], folder: str, environment: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    become_a_program(*(stream.fileno() for stream in streams))
    for stream in streams:
        stream.close()
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})


class Program:
    """Runs `code` as `python -c code *arguments` does, forked from a process that has imported `MODULES`.

    A subprocess.Popen in what it offers. A stream is PIPE, a descriptor or a file, STDOUT for stderr, or None for the
    tests' own. A program needs an interpreter of its own (subprocess.Popen) where Python or torch reads an environment
    variable when it starts, and where it starts workers, which multiprocessing ends otherwise in a forked program.
    """

    def __init__(self, code, *arguments, stdin=None, stdout=None, stderr=None, cwd=None, env=None):
        if stderr == subprocess.STDOUT:
            raise ValueError("give stdout's descriptor")
        self.returncode: int | None = None
        self.stdin, own_in = self._pipe(stdin, 0, "w")
        self.stdout, own_out = self._pipe(stdout, 1, "r")
        self.stderr, own_err = self._pipe(stderr, 2, "r")
        streams = [Connection(descriptor) for descriptor in (own_in, own_out, own_err)]
        words = [str(argument) for argument in arguments]
        values = (code, words, streams, str(cwd or os.getcwd()), dict(os.environ if env is None else env))
        self._process = _context.Process(target=_run, args=values)
        self._process.start()
        for stream in streams:
            stream.close()
        self.pid = self._process.pid

    @staticmethod
    def _pipe(stream, default: int, mode: str):
        """This end of a stream, where there is one, and a descriptor for the program."""
        if stream == PIPE:
            reading, writing = os.pipe()
            ours, theirs = (reading, writing) if mode == "r" else (writing, reading)
            return open(ours, mode), theirs
        if stream is None:
            return None, os.open(os.devnull, os.O_RDWR) if default == 0 else os.dup(default)
        return None, os.dup(stream if isinstance(stream, int) else stream.fileno())

    def poll(self) -> int | None:
        """Its exit code, negative for a signal, once it has ended."""
        self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired("program", timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills it."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 240) -> tuple[str | None, str | None]:
        """What is left of its stdout and stderr, once it has ended; killed where that takes longer than `timeout`."""
        if self.stdin:
            self.stdin.close()
        streams = [stream for stream in (self.stdout, self.stderr) if stream]
        with ThreadPoolExecutor(2) as pool:
            texts = [stream and pool.submit(stream.read) for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        for stream in streams:
            stream.close()
        return tuple(text and text.result() for text in texts)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()
