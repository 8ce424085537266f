"""Who redacts what with which secrets.

What the cloud said in answer to a call is redacted with the credential of that call and what was issued for it, and
with nothing else: a `CallRedaction`, which belongs to the identity. Who writes a text that is compared with a secret
sees by the mask whether it was right, so nobody's text is compared with what others hold. Where the credential is a
ClusterEvsConnection's, which those who use it may not read, only whole values and beginnings are found (`beginnings`).
Our own sentences and the names in them are not searched.

Logs are read by those who run the operator and are redacted with all values (`Redaction`), each kept for the namespaces
whose connections have it.

Most texts are seen again and again: the words of a job at each poll, the names in each line of the log. What was
redacted is remembered until another secret is held.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from itertools import count
from typing import Final

from .beginnings import Beginnings
from .held_values import HeldValues
from .redactor import LEFT_OUT, MOST_OF_ONE, Redactor, is_clean
from .secret_index import SecretIndex
from .work import TooMuchError, Work

_OPERATOR: Final = "/operator"
"""Whose the operator's own token is; no namespace has this name."""
_KEPT: Final = 3600.0
"""Seconds for which a value that was replaced may still come back."""
MOST_OF_ANSWER: Final = 512 * 1024
"""Bytes that are looked through of one answer, in all its readings: a batch of a hundred is 60 kB."""
_MOST_TOGETHER: Final = 128 * 1024
"""As much for those that are looked through together before: they must leave enough for the words of the job itself."""
_MOST_OF_CALL: Final = 512 * 1024
"""Characters of all values of one credential, those that were replaced included."""
_REMEMBERED: Final = 8192
_SHORT: Final = 256
"""Texts remembered, and characters of the longest one: 2 MB at the most, 0.6 MB as they come."""
_TOGETHER: Final = 100
"""Texts that are looked through at once: a secret in one of them costs no more than these a look of their own."""


class _Numbered:
    """A redactor with the number by which its texts are remembered, and not with the secrets that it holds."""

    _numbers = count()

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self.number = next(_Numbered._numbers)


class Redaction:
    """Callable that redacts log lines with all secrets held now; `for_call` makes what redacts a credential's answers.

    One instance per process. `now` gives seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._held = HeldValues()
        self._redactor = _Numbered(Redactor((), self._held.literals))
        self._shown: dict[tuple[int, str], tuple[str, int]] = {}

    def __call__(self, text: str) -> str:
        """Return text without secrets."""
        by = self._redactor
        return by.redactor(text) if len(text) > _SHORT else self.shown(by, text, Work(MOST_OF_ONE))

    def shown(self, by: _Numbered, text: str, work: Work) -> str:
        """Redact a text, or tell from memory what that gave and cost; where it costs too much it is left out."""
        if work.is_over:
            return LEFT_OUT
        key = (by.number, text)
        known = self._shown.get(key)
        try:
            if known is not None:
                work.spend(known[1])
                return known[0]
            before = work.left
            shown = by.redactor.within(text, work)
        except TooMuchError:
            return LEFT_OUT
        if len(text) <= _SHORT:
            shown = text if shown == text else shown  # one object, not two
            if len(self._shown) >= _REMEMBERED:
                del self._shown[next(iter(self._shown))]
            self._shown[key] = shown, before - work.left
        return shown

    def for_call(self) -> CallRedaction:
        """Return what redacts the answers to calls with one credential."""
        return CallRedaction(self)

    def hold(self, values: Iterable[str], namespace: str) -> None:
        """Redact these values in logs from now on; `namespace` is whose they are, "" is ClusterEvsConnections'."""
        if self._held.hold(dict.fromkeys(values, self.now()), namespace):
            self._renew()

    def hold_own(self, secret: str) -> None:
        """Redact the operator's own token in logs; the last one stays until the next."""
        self.hold([secret], _OPERATOR)

    def keep(self, calls: Collection[CallRedaction]) -> None:
        """Forget what nobody uses: values replaced an hour ago, and all of a namespace without connections."""
        for call in calls:
            call.forget_replaced()
            for namespace in call.owners:
                self._held.use(call.last_used, namespace)
        if own := self._held.newest(_OPERATOR):
            self._held.use({own: self.now()}, _OPERATOR)
        live = {_OPERATOR}.union(*(call.owners for call in calls))
        if self._held.keep(live, self.now() - _KEPT):
            self._renew()

    def _renew(self) -> None:
        self._redactor = _Numbered(Redactor((), self._held.literals))


class CallRedaction:
    """Callable that redacts what answers to one credential's calls say, with that and with what was issued for it.

    `owners` are the namespaces of the connections that use the credential, "" stands for a ClusterEvsConnection. Unless
    namespaces alone have used it, which have it in Secrets of theirs, the result tells nothing of a value that is not
    whole in the text. `last_used` says of each value when it was last in use.
    """

    def __init__(self, logs: Redaction) -> None:
        self._logs = logs
        self._shared: bool | None = None
        self._made: _Numbered | None = None
        self.owners: frozenset[str] = frozenset()
        self.last_used: dict[str, float] = {}

    def __call__(self, text: str) -> str:
        """Return a text of the cloud without secrets."""
        return self._logs.shown(self._redactor, text, Work(MOST_OF_ONE))

    def of_answer(self, texts: Iterable[str] = ()) -> Callable[[str], str]:
        """Return what redacts the texts of one answer; `texts` are looked through together, in a fifth of the time.

        All of them together are looked through up to a bound; texts beyond it are left out.
        """
        by, work = self._redactor, Work(MOST_OF_ANSWER)
        clean = _clean(by.redactor, texts, Work(_MOST_TOGETHER))
        return lambda text: text if text in clean else self._logs.shown(by, text, work)

    def hold(self, values: Iterable[str]) -> None:
        """Redact values that are in use now; in logs too, for the connections that use the credential."""
        used = dict.fromkeys(values, self._logs.now())
        news = not used.keys() <= self.last_used.keys()
        for value, now in used.items():
            self.last_used.pop(value, None)
            self.last_used[value] = now
        if news:
            self._drop_the_oldest()
            self._made = None
            for namespace in self.owners:
                self._logs.hold(used, namespace)

    def owned_by(self, namespaces: Iterable[str]) -> None:
        """Take over whose connections use the credential now. Without any, what is issued is nobody's."""
        before, self.owners = self.owners, frozenset(namespaces)
        shared = "" in self.owners
        if self.owners and not self._shared and shared is not self._shared:
            self._shared, self._made = shared, None
        for namespace in self.owners - before:
            self._logs.hold(self.last_used, namespace)

    def forget_replaced(self) -> None:
        """Forget values that were in use an hour ago for the last time."""
        now = self._logs.now()
        kept = {value: last for value, last in self.last_used.items() if now - last < _KEPT}
        if len(kept) != len(self.last_used):
            self.last_used, self._made = kept, None

    def _drop_the_oldest(self) -> None:
        """Keep no more of what was issued, however fast that is replaced, than a bound; what is in use comes last."""
        size = sum(map(len, self.last_used))
        for value in list(self.last_used):
            if size <= _MOST_OF_CALL:
                return
            size -= len(value)
            del self.last_used[value]

    @property
    def _redactor(self) -> _Numbered:
        if self._made is None:  # most credentials are held long before the first answer comes
            found = SecretIndex if self._shared is False else Beginnings
            self._made = _Numbered(Redactor((), found(self.last_used)))
        return self._made


def _clean(redactor: Redactor, texts: Iterable[str], work: Work) -> frozenset[str]:
    """Return those of the short texts in which nothing has to be hidden, as far as one look tells."""
    short = [text for text in dict.fromkeys(texts) if len(text) <= _SHORT and "\0" not in text]
    clean: list[str] = []
    with suppress(TooMuchError):
        for at in range(0, len(short), _TOGETHER):
            some = short[at : at + _TOGETHER]
            if is_clean(lambda whole: redactor.within(whole, work), some):
                clean += some
    return frozenset(clean)
