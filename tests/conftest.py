"""`--must-run`: tests that fail where they would be skipped; `-m gpu` on a bare machine.

Coverage is measured in the first cases of each test, and in none that is marked `uncovered`: other
tests reach the same lines, and to note them doubles the time.
"""

import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

COVERED = 5  # cases


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--must-run",
        action="append",
        default=[],
        metavar="FILES",
        help="fail, not skip, the tests of these files, e.g. test_emulator*.py",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m gpu` files without such tests are not read: a device may lack what they import."""
    if config.getoption("markexpr") != "gpu" or collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    return None if "mark.gpu" in text or "from machines import" in text else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for pattern in config.getoption("must_run"):
        if not any(item.path.match(pattern) for item in items):
            raise pytest.UsageError(f"--must-run {pattern}: no such test")
    cases: Counter[str] = Counter()
    for item in items:
        test = item.nodeid.partition("[")[0]
        cases[test] += 1
        if cases[test] > COVERED:
            item.add_marker("uncovered")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, bool, bool]:
    _cover(item.get_closest_marker("uncovered") is None)
    result = yield
    if nextitem is None:
        _cover(True)
    return result


_waiting = []


def _cover(wanted: bool) -> None:
    """Measure coverage, if somebody asked for it, or wait: what `no_cover` does for each test."""
    if wanted:
        while _waiting:
            _waiting.pop().start()
    elif "coverage" in sys.modules and (running := sys.modules["coverage"].Coverage.current()):
        running.stop()
        _waiting.append(running)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _judged(item, (yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _judged(collector, (yield))


def _judged(
    node: pytest.Item | pytest.Collector, report: pytest.TestReport | pytest.CollectReport
) -> pytest.TestReport | pytest.CollectReport:
    expected = hasattr(report, "wasxfail")
    patterns = node.config.getoption("must_run")
    if report.skipped and not expected and any(node.path.match(pattern) for pattern in patterns):
        report.outcome = "failed"
        report.longrepr = f"{node.nodeid} must run: {report.longrepr[2]}"
    return report
