"""What this installation says of itself."""

import importlib.metadata
import platform
import re

import numpy as np
import pytest
import scipy
import threadpoolctl

import gpuols
from gpuols import DeviceError


def runs(engine):
    """Whether an engine fits, or the reason it gives."""
    try:
        return gpuols.fit(np.ones((3, 1)), np.ones(3), device=engine).engine
    except DeviceError as error:
        return str(error)


def test_the_numpy_engine_is_always_ready():
    assert gpuols.info().engines["cpu:numpy"] == "ready"


def test_every_engine_of_the_options_is_listed():
    assert {"cpu:numpy", "cpu:numba", "cuda"} <= set(gpuols.info().engines)


@pytest.mark.parametrize("engine", gpuols.info().engines)
def test_an_engine_runs_if_it_is_ready_and_else_says_the_same_reason(engine):
    state = gpuols.info().engines[engine]
    if state.startswith("ready"):
        assert runs(engine).split("+")[0] == engine
    else:
        assert len(state.split()) > 3
        assert state in runs(engine)


def test_versions_are_those_that_are_imported():
    versions = gpuols.info().versions
    assert versions["gpuols"] == gpuols.__version__
    assert versions["python"] == platform.python_version()
    for module in (np, scipy, threadpoolctl):
        assert versions[module.__name__] == module.__version__


def test_libraries_that_are_not_there_are_left_out(monkeypatch):
    def version(name):
        if name in ("numba", "cupy", "torch", "jax"):
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(importlib.metadata, "version", version)
    versions = gpuols.info().versions
    assert not {"numba", "cupy", "torch", "jax"} & set(versions)
    assert versions["scipy"] == "1.2.3"


def test_optional_libraries_that_are_there_are_listed(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"{name}-9")
    versions = gpuols.info().versions
    for name in ("numba", "torch", "jax"):
        assert versions[name] == f"{name}-9"


def test_the_text_has_a_line_for_each_engine_and_everything_else():
    info = gpuols.info()
    lines = str(info).splitlines()
    assert len(lines) == len({line.split()[0] for line in lines})
    for engine, state in info.engines.items():
        assert sum(
            re.fullmatch(rf"{engine} +{re.escape(state)}", line) is not None for line in lines
        )
    starts = {line.index(state) for line, state in zip(lines, info.engines.values(), strict=False)}
    assert len(starts) == 1
    text = str(info)
    assert re.search(rf"^threads +{info.threads}$", text, re.MULTILINE)
    for name, version in info.versions.items():
        assert f"{name} {version}" in text
    assert platform.machine() in lines[-1]
    assert not any(line != line.rstrip() for line in lines)


def test_each_answer_is_fresh():
    first = gpuols.info()
    first.engines.clear()
    first.versions.clear()
    assert gpuols.info().engines["cpu:numpy"] == "ready"
    assert "numpy" in gpuols.info().versions
