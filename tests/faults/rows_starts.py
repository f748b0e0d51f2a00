"""Rows F6, F8 to F10: what is found before a run begins, or where it writes: folders, pictures, configs."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

from commands import WITHOUT_ROOTS_RIGHT, overrides, pix2pix
from harness import Child, Outcome, finish, training, trials
from making import noise, save
from malformed import make_malformed
from malformed_configs import REFUSED, SCALARS, malformed_configs

from pix2pix.config import shipped_configs
from pix2pix.config.strict_yaml import parse
from pix2pix.data.images.files import read_image
from pix2pix.errors import DataError


def _as_ordinary_user(command: list[str]):
    """What makes a child start anew without root's right to write everywhere."""

    def begin() -> None:
        if os.geteuid() == 0:
            exec(WITHOUT_ROOTS_RIGHT, {})
        os.execv(sys.executable, [sys.executable, "-m", "pix2pix", *command])

    return begin


def _closed(path: Path) -> Path:
    path.mkdir()
    path.chmod(0o555)
    return path


def _linked(path: Path) -> Path:
    path.symlink_to("gone")
    return path


def _file(path: Path) -> Path:
    path.write_text("mine")
    return path


def f6_no_folder(count: int, folder: Path) -> Outcome:
    """An output folder that cannot be one is refused before the first step; one that is lost in mid-run, at the next
    save: each time it is named. As a user who is not root."""
    found = Outcome()
    at_start = [
        lambda: _closed(folder / "closed"),
        lambda: _closed(folder / "shut") / "run",
        lambda: _file(folder / "file"),
        lambda: _file(folder / "note") / "run",
        lambda: _linked(folder / "link"),
        lambda: folder / ("n" * 300),
    ]
    amid = [
        lambda output: shutil.rmtree(output.rename(f"{output}-gone")),  # at once, though it writes there
        lambda output: output.chmod(0o555),
        lambda output: (output / "checkpoints").chmod(0o555),
        lambda output: [output.rename(f"{output}-moved"), output.write_text("mine")],
    ]
    cases = [case for pair in zip(at_start, amid, strict=False) for case in pair] + at_start[len(amid) :]
    for number, chance in trials(count, 6):
        case, output = cases[number], folder / f"run-{number}"
        if case in at_start:
            output = case()
        command = training(output, schedule__epochs=50)
        with Child(command, _as_ordinary_user(command)) as child:
            if case in amid and child.wait_for(f"step {chance.randrange(7, 18)}0/"):
                case(output)
            code, said = child.wait(), child.said()
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        clear = len(errors) == 1 and str(output) in errors[0] and "Traceback" not in said
        late = case in at_start and "step 10/" in said
        found.note(code == 4 and clear and not late, f"{output.name[:20]}: {code} {said[-400:]}")
    return found


def f8_malformed_images(count: int, folder: Path) -> Outcome:
    """Pictures that are none: each is refused by name, and `check` lists it with the reason; training refuses them, or
    leaves them out and counts."""
    found, data = Outcome(), folder / "data/train"
    made = make_malformed(folder / "images", count)
    for index, (path, _) in enumerate(made):
        if path.is_file():  # in a data set, what is none is a missing partner
            save(data / "b" / f"{index:03}.png", noise(32, 32, index))
            (data / "a").mkdir(exist_ok=True)
            shutil.copyfile(path, data / "a" / f"{index:03}{path.suffix}")
    for index in range(4):
        for side in "ab":
            save(data / side / f"good{index}.png", noise(32, 32, index))
    said = finish(["check", "--data", str(data.parent), "--json"])[1]
    listed = json.loads(said[said.index("{") :])["findings"]  # libtiff has its say first
    items = [item for finding in listed if finding["code"] == "unreadable" for item in finding["items"]]
    named = {Path(file).stem for item in items if item["detail"] for file in item["files"]}
    for index, (path, kind) in enumerate(made):
        try:
            read_image(path)
            reason = ""
        except DataError as error:
            reason = str(error)
        good = reason.startswith(f"{path}: ") and (f"{index:03}" in named or not path.is_file())
        found.note(good, f"{kind}: {reason!r}, listed: {f'{index:03}' in named}")
    settings = {
        "data__layout": "auto",
        "data__direction": None,
        "data__root": str(data.parent),
        "schedule__decay_epochs": 0,
    }
    command = training(folder / "run", **settings)
    code, said = finish(command)
    found.note(code == 3 and f"{data / 'a'}" in said and "step 10/" not in said, said[-300:])
    code, said = finish([*command, "--set", "data.skip_broken=true"])
    left_out = sum(path.is_file() for path, _ in made)
    found.note(code == 0 and f"{left_out} that cannot be read" in said, said[:2000])
    return found


def _read_as_meant(text: str) -> bool:
    value = parse(text.encode()).value
    return value == SCALARS[text] and type(value) is type(SCALARS[text])


def f9_malformed_configs(count: int, folder: Path) -> Outcome:
    """Configs with a mistake, and YAML's traps: exit 2 with file and line, or read as YAML 1.2 has it."""
    found, path, meant = Outcome(), folder / "c.yaml", 0

    def refused(text: str | bytes, line: int | None) -> str:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        result = pix2pix("train", "--config", path, "--output", folder / "run")
        clear = [row for row in result.lines if re.match(rf"error: {re.escape(str(path))}:{line or '[0-9]+'}: ", row)]
        named = all(line.startswith(f"error: {path}:") for line in result.lines)
        good = result.code == 2 and clear and named and "Traceback" not in result.out
        return result.err if good else ""

    for number, config in enumerate(malformed_configs(count * 10 // 11)):
        said = refused(config.text, config.line)
        if config.meant:
            found.count("misspelt")
            meant += f"did you mean {config.meant!r}?" in said
        found.note(bool(said), f"{number}: {config.text!r}")
    found.count("suggested", meant)
    traps = [*((text, line) for text, line, _ in REFUSED), *SCALARS]
    for trap in traps[: count - found.tried]:
        good = _read_as_meant(trap) if isinstance(trap, str) else bool(refused(*trap))
        found.note(good, f"trap {trap!r}")
    return found


def f10_shipped(count: int, folder: Path) -> Outcome:
    """Every shipped config, of small networks and two drawn pairs, trains two steps."""
    found = Outcome()
    small = {
        **{"data.root": None, "data.layout": "synthetic", "data.batch_size": 1, "data.synthetic.train": 2},
        **{"data.synthetic.val": 1, "model.generator.base_channels": 2, "model.discriminator.base_channels": 2},
        **{"schedule.epochs": 1, "schedule.decay_epochs": 0, "run.device": "cpu"},
    }
    for name in [*shipped_configs()][:count]:
        code, said = finish(["train", "--config", name, *overrides(small), "--output", str(folder / name)])
        found.note(code == 0 and "done: 1 epochs, 2 steps" in said, f"{name}: {code} {said[-300:]}")
    return found
