"""Fixtures of the data sets' tests."""

import logging

import pytest
from download_server import serving


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.INFO, "pix2pix")


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch) as server:
        yield server
