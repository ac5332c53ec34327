"""Checks skipped for want of a tool do not pass where it must be; `-m gpu` needs few tools."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SKIPPED = """
import pytest
@pytest.mark.skip(reason="no compiler")
def test_marked(): pass
def test_inside(): pytest.skip("no compiler")
def test_runs(): pass
@pytest.mark.xfail(reason="known", strict=True)
def test_known(): assert False
"""
WITHOUT_POLARS = """
import sys, pytest
sys.modules["polars"] = None
sys.exit(pytest.main(sys.argv[1:]))
"""
MANY = """
import coverage, pytest
def measured():
    return coverage.Coverage.current() is not None
@pytest.mark.parametrize("case", [0, pytest.param(1, marks=pytest.mark.gpu), *range(2, 10)])
def test_many(case):
    assert measured() == (case < 6)
@pytest.mark.uncovered
def test_marked():
    assert not measured()
def test_another():
    assert measured()
"""
WHOLE = 'import pytest\npytest.skip("no device", allow_module_level=True)\n'


@pytest.fixture
def run(pytester):
    conftest = Path(__file__).with_name("conftest.py")
    pytester.makeconftest(conftest.read_text(encoding="utf-8"))
    return pytester.runpytest_inprocess


def test_a_skip_in_files_that_must_run_is_a_failure(pytester, run):
    pytester.makepyfile(test_needy=SKIPPED, test_easy=SKIPPED)
    run().assert_outcomes(passed=2, skipped=4, xfailed=2)
    result = run("--must-run=test_n*.py")
    result.assert_outcomes(passed=2, skipped=2, xfailed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*test_needy.py::test_marked must run: Skipped: no compiler*"])


def test_a_file_that_is_skipped_whole_is_an_error(pytester, run):
    pytester.makepyfile(test_needy=SKIPPED, test_whole=WHOLE)
    assert run("--must-run=test_easy.py").ret == pytest.ExitCode.USAGE_ERROR
    result = run("--must-run=test_needy.py", "--must-run=test_*.py")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_whole.py must run: Skipped: no device*"])


def test_files_that_must_run_are_there(pytester, run):
    pytester.makepyfile(test_needy=SKIPPED)
    result = run("--must-run=test_gone.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--must-run test_gone.py: no such test*"])


def test_coverage_is_measured_in_the_first_cases(pytester, run, monkeypatch):
    monkeypatch.delenv("COVERAGE_FILE", raising=False)  # of those who run this
    pytester.makeini("[pytest]\nmarkers =\n gpu\n uncovered")
    pytester.makepyfile(MANY)
    result = pytester.runpytest_subprocess("--cov=.", "--cov-report=", "-m", "not gpu")
    result.assert_outcomes(passed=11, deselected=1)


def test_what_needs_a_device_is_collected_where_other_libraries_are_missing(request):
    command = [sys.executable, "-c", WITHOUT_POLARS, "-m", "gpu", "--collect-only", "-q"]
    own = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    root = request.config.rootpath
    done = subprocess.run(command, cwd=root, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "tests/test_gpu.py" in done.stdout
    assert "tests/test_cuda.py" in done.stdout
