"""Stop by a signal at any point: everything saved, and the same result as without it; a second one exits at once."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch
from commands import TINY, picture, pix2pix, script
from forked import PIPE, Program
from runs import assert_identical, make_config, without_timing

from pix2pix import Trainer
from pix2pix.runtime.signals import STOP_SIGNALS, Stopped, stop_on_signals, stoppable

LATER = 1.1  # seconds after which a signal is another one


def test_polled_before_anything_is_asked_for():
    asked = []
    items = (asked.append(i) or i for i in range(9))
    with pytest.raises(Stopped):
        list(stoppable(items, lambda: len(asked) == 3))
    assert asked == [0, 1, 2]
    assert list(stoppable(range(3), lambda: False)) == [0, 1, 2]


def test_stopped_at_every_poll_in_turn_it_ends_the_same(tmp_path):
    """In preparation, between steps, in validation and in sample grids: wherever `stop` is asked, once each."""
    whole = Trainer(make_config(tmp_path / "whole"))
    whole.fit()
    config, polls = make_config(tmp_path / "run"), 0
    for limit in range(1000):
        trainer, asked = Trainer(config), 0

        def stop(limit=limit) -> bool:
            nonlocal asked
            asked += 1
            return asked > limit

        if trainer.fit(stop=stop):
            break
        polls += 1
        assert (tmp_path / "run" / "checkpoints").exists() == (trainer.state.step > 0)
    assert polls >= 15
    assert_identical(whole, trainer)
    assert without_timing(tmp_path / "whole" / "metrics.jsonl") == without_timing(tmp_path / "run" / "metrics.jsonl")
    for name in ("gen.pt", "dis.pt", "best.pt"):
        a, b = (torch.load(tmp_path / run / name, weights_only=True) for run in ("whole", "run"))
        assert a["step"] == b["step"]
        assert all(torch.equal(a["state_dict"][k], b["state_dict"][k]) for k in a["state_dict"])
    for epoch in (1, 2, 3):
        a, b = (tmp_path / run / "samples" / f"epoch_000{epoch}.png" for run in ("whole", "run"))
        assert a.read_bytes() == b.read_bytes()


WAITING = """
import sys, time
from pix2pix.{module} import {owner} as owner
from pix2pix.cli.main import main
def wait(*args, **options):
    print("here", flush=True)
    while True: time.sleep(0.01)
owner.{name} = wait
sys.exit(main(sys.argv[1:]))
"""
PLACES = {
    "before anything": ("training", "trainer", "Trainer"),
    "in a step": ("objective", "losses", "l1"),
    "in validation": ("training.evaluator", "Evaluator", "validate"),
    "in a save": ("training.checkpointer", "Checkpointer", "save"),
}


@pytest.mark.parametrize(("place", "number"), [*((place, signal.SIGTERM) for place in PLACES), ("in a step", 2)])
def test_a_second_signal_leaves_at_once(place, number):
    code = WAITING.format(**dict(zip(("module", "owner", "name"), PLACES[place], strict=True)))
    with Program(code, "train", *TINY, "--output", "out", stdout=PIPE, stderr=PIPE) as run:
        assert any(line == "here\n" for line in run.stdout)
        run.send_signal(number)
        assert any(line.startswith("stopping after this step") for line in run.stdout)
        time.sleep(LATER)
        start = time.monotonic()
        run.send_signal(number)
        assert run.wait(10) == (130 if number == signal.SIGINT else 143)
        assert time.monotonic() - start < 2
    assert pix2pix("train", *TINY, "--output", "out").code == 0  # what it left is no obstacle


DEAF = """
import os, sys, threading, time
from pix2pix.runtime.log import to_console
from pix2pix.runtime.signals import stop_on_signals
if {blocked}:
    threading.Thread(target=lambda: print("x" * 1000000, flush=True), daemon=True).start()
with to_console(), stop_on_signals() as stop:
    print("here", file=sys.stderr, flush=True)
    while not stop: time.sleep(0.01)
    print("heard", file=sys.stderr, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("stdout", ["full", "gone", "blocked"])
def test_a_second_signal_is_heard_whatever_stdout_is(stdout):
    if stdout == "full" and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    if stdout == "full":
        other = stream = os.open("/dev/full", os.O_WRONLY)
    else:
        other, stream = os.openpty() if stdout == "gone" else os.pipe()
    if stdout == "gone":
        os.close(other)
    with Program(DEAF.format(blocked=stdout == "blocked"), stdout=stream, stderr=PIPE) as run:
        try:
            assert run.stderr.readline() == "here\n"
            run.send_signal(signal.SIGTERM)
            assert run.stderr.readline() == "heard\n"
            time.sleep(LATER)
            start = time.monotonic()
            run.send_signal(signal.SIGTERM)
            assert run.wait(10) == 143 and time.monotonic() - start < 2
            assert run.stderr.read() == ""
        finally:
            run.kill()
            os.close(stream)
            if stdout == "blocked":
                os.close(other)


def test_a_signal_while_torch_computes_is_heard_at_once():
    """In the midst of one long operation, where Python's own handlers are not called."""
    code = (
        "import torch\nfrom pix2pix.runtime.log import to_console\n"
        "from pix2pix.runtime.signals import stop_on_signals\n"
        "with to_console(), stop_on_signals() as stop:\n print('here', flush=True)\n x = torch.rand(6000, 6000)\n"
        " for _ in range(99): torch.linalg.svdvals(x)\n"
    )
    with Program(code, stdout=PIPE) as run:
        try:
            assert run.stdout.readline() == "here\n"
            time.sleep(2)
            start = time.monotonic()
            run.send_signal(signal.SIGTERM)
            assert run.stdout.readline() == "\n" and run.stdout.readline().startswith("stopping after this step")
            assert time.monotonic() - start < 2
            time.sleep(LATER)
            start = time.monotonic()
            run.send_signal(signal.SIGTERM)
            assert run.wait(10) == 143 and time.monotonic() - start < 2
        finally:
            run.kill()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGXCPU", "SIGALRM"])
def test_a_signal_before_the_first_step_leaves_nothing_half_done(name):
    first = f"import os, signal; signal.signal(signal.{name}, signal.SIG_DFL)"
    code = f"{first}\nimport sys\nfrom pix2pix.cli.main import main\nfrom pix2pix.data.dataset import PairedDataset\n"
    code += f"before = PairedDataset.prepare\ndef prepare(*a, **k):\n os.kill(os.getpid(), signal.{name})\n"
    code += " import time; time.sleep(0.2); return before(*a, **k)\nPairedDataset.prepare = prepare\n"
    code += "sys.exit(main(sys.argv[1:]))"
    done = script(code, "train", *TINY, "--output", "out")
    assert done.code == 143 and done.err == "", done
    assert "nothing to save" in done.out
    assert not Path("out/checkpoints").exists() and not list(Path("out").glob(".lock.*"))
    assert pix2pix("train", *TINY, "--output", "out").code == 0


def test_sampling_stops_between_pictures(trained):
    for number in range(150):
        picture(f"in/{number}.png")
    code = "import os, sys, time\nfrom pix2pix.cli.main import main\nfrom pix2pix.inference import files\n"
    code += "before = files._write\n"
    code += "files._write = lambda *a: (before(*a), os.write(1, b'here\\n'), time.sleep(0.03))\n"
    code += "sys.exit(main(sys.argv[1:]))"
    command = ("sample", "--weights", trained / "gen.pt", "--input", "in", "--batch-size", 1)
    with Program(code, *command, stdout=PIPE, stderr=PIPE) as run:
        assert any(line == "here\n" for line in run.stdout)
        run.send_signal(signal.SIGTERM)
        rest, errors = run.communicate(timeout=60)
    assert run.returncode == 143 and "stopped" in rest and errors == "", errors
    written = list((trained / "translated").rglob("*.png"))
    assert 1 <= len(written) < 150 and len(written) == 1 + rest.count("here\n")  # what was translated was written


def test_handlers_are_put_back_and_children_hear_nothing():
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    with stop_on_signals() as stop:
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(0.1)
        assert not stop
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.1)
        assert stop and stop.exit_code == 143
    assert {number: signal.getsignal(number) for number in before} == before
    assert signal.set_wakeup_fd(-1) == -1


IN_TIME = """
import os, signal, sys, time
from pix2pix.runtime.log import to_console
from pix2pix.runtime.signals import stop_on_signals
with to_console(), stop_on_signals() as stop:
    def send(name):
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(0.1)
    {code}
print(stop.signal and stop.exit_code, flush=True)
"""


def _said(code: str, first: str = "") -> tuple[int, str]:
    done = script(first + IN_TIME.format(code=code))
    assert done.err == "", done.err
    return done.code, done.out.splitlines()[-1]


@pytest.mark.parametrize("pair", ["'SIGTERM', 'SIGTERM'", "'SIGINT', 'SIGINT'", "'SIGHUP', 'SIGTERM'"])
def test_two_signals_within_a_second_are_one(pair):
    """As GNU timeout sends them, and a terminal that is closed."""
    assert _said(f"[send(name) for name in ({pair})]") == (0, "130" if "INT" in pair else "143")
    code, last = _said(f"first, second = {pair}; send(first); time.sleep({LATER}); send(second); time.sleep(9)")
    assert code == (130 if "INT" in pair else 143) and last.startswith("exited at once; ")


def test_the_limit_of_processor_time_counts_once():
    """The kernel sends SIGXCPU every second from there on."""
    assert _said(f"send('SIGXCPU'); time.sleep({LATER}); send('SIGXCPU')") == (0, "143")


def test_what_nohup_ignores_stays_ignored_and_timers_of_others_are_left_alone():
    ignoring = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    assert _said("send('SIGHUP')", ignoring) == (0, "None")
    assert _said("send('SIGHUP')") == (0, "143")
    assert _said("send('SIGPIPE')") == (0, "None")  # Python ignores it
    heard = []
    before = signal.signal(signal.SIGUSR2, lambda *_: heard.append(1))
    try:
        with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGUSR2)
            time.sleep(0.1)
            assert heard == [1] and not stop
    finally:
        signal.signal(signal.SIGUSR2, before)
