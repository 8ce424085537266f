"""`python -m kubectl_evsjob`, and what the zipapp starts."""

import sys

from .cli import main

sys.exit(main())
