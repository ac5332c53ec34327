"""Compile every kernel for every device, and check what came out.

`python -m tests.gate` checks and prints registers by kernel and device, `--archs 90` for some
devices only; `--write` first makes the table of registers what the kernels use now.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gate import nvrtc, table
from gate.variants import ARCHS, variants


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="regenerate the table of registers")
    parser.add_argument(
        "--archs", nargs="+", type=int, choices=ARCHS, default=ARCHS, help="devices; without, all"
    )
    given = parser.parse_args()
    if nvrtc.available():
        print(nvrtc.available(), file=sys.stderr)
        return 1
    listed = variants()
    kernels = [variant.kernel for variant in listed]
    if given.write:
        table.write(kernels)
    measured = table.measure(kernels, given.archs)
    width = max((len(str(kernel)) for kernel in kernels), default=0)
    print(" " * width + "".join(f"{f'sm_{arch}':>8}" for arch in given.archs))
    for kernel in kernels:
        found = [measured[str(kernel), arch].entries.get(kernel.name) for arch in given.archs]
        used = (f"{entry.registers if entry else '-':>8}" for entry in found)
        print(f"{kernel!s:{width}}{''.join(used)}")
    caps = table.caps()
    complaints = [*table.compare(kernels, caps), *table.check(listed, given.archs, caps)]
    print(f"CUDA {nvrtc.version()}: {len(kernels)} kernels, {len(complaints)} complaints")
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
