"""`python -m gpuols`: the same as the command `gpuols`."""

import sys

from gpuols.cli import main

if __name__ == "__main__":
    sys.exit(main())
