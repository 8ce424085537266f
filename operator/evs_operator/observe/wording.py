"""Words of our own in log lines, which are not searched for secrets; what they quote of others is.

Whoever logs makes them (`Ours`), the formatters of `logs` read them. A name such as `default/access-key` before a colon
looks like what precedes a secret, and is none. An argument that is no `Ours` is searched, so that what is forgotten
here hides too much and shows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable


class Ours(str):
    """A sentence of our own. `quoted`, at its end, is what somebody else said.

    `quoted` may be such a sentence too: then that one's own words are ours as well. Of the `names` that we named
    ourselves, such as parts of a path, none is searched where the other side names it in quotes.
    """

    __slots__ = ("_names", "own", "quoted")

    own: str
    quoted: str
    _names: tuple[str, ...]

    def __new__(cls, own: str, quoted: str = "", names: Iterable[str] = ()) -> Ours:
        """Join both with a blank."""
        said = quoted
        if isinstance(quoted, Ours):
            own, said, names = f"{own} {quoted.own}", quoted.quoted, quoted._names
        made = super().__new__(cls, f"{own} {said}" if said else own)
        made.own, made.quoted, made._names = own, said, tuple(names)
        return made

    def shown(self, redact: Callable[[str], str]) -> str:
        """Return the sentence with what it quotes redacted."""
        if not self.quoted:
            return self.own
        named = "|".join(re.escape(name) for name in self._names if name)
        parts = re.split(f'("(?:{named})")', self.quoted) if named else [self.quoted]
        # every other part is a name
        return f"{self.own} " + "".join(part if at % 2 else redact(part) for at, part in enumerate(parts))
