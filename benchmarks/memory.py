"""Peak memory of a large fit: ``python -m benchmarks.memory``.

1,000,000 regressions of 60 rows and 4 columns in float64, 2.4 GB of input, in a process of its
own; the peak is the process's largest resident size, everything included.
"""

import argparse
import resource
import sys

import numpy as np

import gpuols

_LIMIT = 3.2


def main() -> None:
    """Fit, print the peak, fail above the limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="regressions")
    count = parser.parse_args().count
    rng = np.random.default_rng(0)
    x, y = np.empty((count, 60, 4)), np.empty((count, 60))
    for start in range(0, count, 10_000):
        part = slice(start, min(start + 10_000, count))
        rng.standard_normal(out=x[part])
        rng.standard_normal(out=y[part])
    before = _peak()
    result = gpuols.fit(x, y, add_intercept=True)
    print(result)
    print(f"input {(x.nbytes + y.nbytes) / 1e9:.2f} GB, before the fit {before:.2f} GB, ", end="")
    print(f"peak {_peak():.2f} GB, limit {_LIMIT} GB")
    sys.exit(_peak() > _LIMIT)


def _peak() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


if __name__ == "__main__":
    main()
