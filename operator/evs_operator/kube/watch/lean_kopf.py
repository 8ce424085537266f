"""kopf, imported without the official client of Kubernetes, which it looks for and has no use for here.

kopf takes the client's model classes where they can be imported, and importing them costs 24 MB.
`cluster` imports the client where a kubeconfig needs it.
"""

import sys

_is_hidden = "kubernetes" not in sys.modules
if _is_hidden:
    sys.modules["kubernetes"] = None  # type: ignore[assignment]  # the documented way to make an import fail
try:
    import kopf
    from kopf._cogs.clients.api import stream
    from kopf._cogs.clients.auth import vault_var
    from kopf._cogs.clients.errors import APIError
    from kopf._cogs.structs.credentials import Vault
finally:
    if _is_hidden:
        del sys.modules["kubernetes"]

__all__ = ["APIError", "Vault", "kopf", "stream", "vault_var"]
