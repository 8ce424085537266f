"""`python -m evs_operator` is `evs-operator`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
