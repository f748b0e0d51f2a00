"""Every row of the table of faults: what injects it, and how many times it must hold."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import rows_caches
import rows_files
import rows_foreign
import rows_friends
import rows_identity
import rows_outputs
import rows_process
import rows_ranks
import rows_runs
import rows_saves
import rows_starts
from harness import Outcome


@dataclass(frozen=True)
class Row:
    """A fault: `run(count, folder)` tries it, `full` times in a campaign and `short` times in the tests.

    The short versions of F8 and F17 are tests of their own (test_f08_images.py, test_distributed.py); F19 has none."""

    what: str
    run: Callable[[int, Path], Outcome]
    full: int
    short: int


ROWS = {
    "F1": Row("SIGKILL at any time, a third inside a save", rows_runs.f1_killed, 100, 3),
    "F2": Row("resumed: workers x place x precision x ranks", rows_ranks.f2_grid, 36, 2),
    "F3": Row("SIGTERM at any time", rows_runs.f3_stopped, 50, 3),
    "F4": Row("a second signal", rows_runs.f4_stopped_twice, 20, 2),
    "F5": Row("a full disk", rows_saves.f5_full, 50, 2),
    "F6": Row("a folder that is none, or is lost", rows_starts.f6_no_folder, 10, 2),
    "F7": Row("a damaged newest checkpoint", rows_saves.f7_damaged, 20, 3),
    "F8": Row("malformed pictures", rows_starts.f8_malformed_images, 300, 0),
    "F9": Row("malformed configs and YAML's traps", rows_starts.f9_malformed_configs, 440, 66),
    "F10": Row("every shipped config", rows_starts.f10_shipped, 9, 2),
    "F11": Row("weights files made to do harm", rows_files.f11_harmful, 40, 40),
    "F12": Row("mutated checkpoint and weights files", rows_saves.f12_mutated, 2000, 60),
    "F13": Row("NaN and Inf", rows_runs.f13_not_finite, 160, 8),
    "F14": Row("the same run twice", rows_runs.f14_same_twice, 10, 1),
    "F15": Row("SIGKILL of one of two ranks", rows_ranks.f15_lost_rank, 20, 1),
    "F16": Row("a reader killed or hung", rows_runs.f16_lost_workers, 4, 1),
    "F17": Row("1 rank x batch 4 against 2 x 2", rows_ranks.f17_shared, 1, 0),
    "F18": Row("a second process on a run", rows_runs.f18_locked, 10, 1),
    "F19": Row("10,000 steps", rows_runs.f19_long, 1, 0),
    "F22": Row("a friend's weights: any field malformed, outputs led elsewhere", rows_friends.f22_fields, 88, 12),
    "F23": Row("archives on which readers disagree, and endless files", rows_friends.f23_archives, 46, 20),
    "F24": Row("a command whose output is its input or somebody's file", rows_outputs.f24_outputs, 60, 10),
    "F25": Row("folders of a person's own in a run", rows_outputs.f25_own_folders, 48, 6),
    "F26": Row("a run inside its own data set", rows_outputs.f26_inside, 24, 4),
    "F27": Row("two trainers over namespaces and hosts", rows_process.f27_containers, 12, 1),
    "F28": Row("timeout, HUP, XCPU, USR2, PIPE, ALRM", rows_process.f28_signals, 24, 1),
    "F29": Row("data lost in mid-epoch: saved first", rows_process.f29_lost_data, 12, 1),
    "F30": Row("broken settings and disks for pictures, closed terminals", rows_identity.f30_broken_pictures, 9, 5),
    "F31": Row("data changed with name, size and time kept", rows_identity.f31_changed_data, 6, 3),
    "F32": Row("odd values in metrics and manifests", rows_identity.f32_odd_values, 16, 6),
    "F33": Row("foreign text in messages", rows_foreign.f33_foreign_text, 19, 12),
    "F34": Row("special files in place of data, configs and caches", rows_foreign.f34_special_files, 45, 15),
    "F35": Row("a cache folder shared with others", rows_caches.f35_shared_cache, 24, 12),
    "F36": Row("damaged JPEG and WebP that still decode", rows_caches.f36_damaged_but_decoding, 40, 3),
}
