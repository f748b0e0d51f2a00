"""Work in threads."""

import os
import sys

import torch

from pix2pix.runtime.parallel import let_idle_threads_sleep


def test_idle_threads_sleep_only_where_that_can_still_be_chosen(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    assert sys.modules["torch"] is torch
    let_idle_threads_sleep()
    assert "OMP_WAIT_POLICY" not in os.environ
    monkeypatch.delitem(sys.modules, "torch")
    let_idle_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    let_idle_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
