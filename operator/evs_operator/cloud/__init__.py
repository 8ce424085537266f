"""The cloud's side: the EVS jobs API, its errors, how to sign in, how often to call. Knows no Kubernetes."""

import sys

# httpx takes its command line along where rich and pygments happen to be installed: 4 MB that nobody here calls.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # the documented way to make an import fail
