"""Which EvsJobs a command is for: by name, by label, or all; and what is missing said in one line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from evs_operator.api.stored import mapping

from .errors import NOT_FOUND, USAGE, Cause, KubectlError, PluginError
from .kubectl import JOBS, Kubectl

Object = dict[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Selection:
    """Names, or a label selector, or neither for all."""

    names: tuple[str, ...] = ()
    selector: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """What selects these for a watch; one of several names is found in a watch of all."""
        if self.selector is not None:
            return (JOBS, "--selector", self.selector)
        return (JOBS, *self.names) if len(self.names) == 1 else (JOBS,)

    def read(self, kubectl: Kubectl) -> list[Object]:
        """Return those that are there now."""
        if self.names:
            return kubectl.items("get", JOBS, *self.names, "--ignore-not-found")
        return kubectl.items("get", *self.words)

    def found(self, kubectl: Kubectl) -> list[Object]:
        """Return those that are there now, at least one; PluginError says what is not."""
        objects = self.read(kubectl)
        if not objects and not self.names:
            which = f"no EvsJob matches {self.selector}" if self.selector else "there are no EvsJobs"
            raise PluginError(f"{which}{where(kubectl)}", NOT_FOUND)
        there = {name_of(obj) for obj in objects}
        for name in self.names:
            if name not in there:
                raise missing(kubectl, name)
        return objects


def selection_of(names: Iterable[str], selector: str | None, everywhere: bool, *, needed: bool = True) -> Selection:
    """Check what was asked for; names may be written as kubectl prints them, `evsjob.evs-operator.dev/NAME`."""
    plain = tuple(dict.fromkeys(map(_name, names)))
    selector = selector if selector and selector.strip() else None  # `-l "$UNSET"` is no wish to suspend all
    if plain and selector is not None:
        raise PluginError("name EvsJobs or a --selector, not both", USAGE)
    if plain and everywhere:
        raise PluginError("a name is of one namespace: leave --all-namespaces out", USAGE)
    if needed and not plain and selector is None and not everywhere:
        raise PluginError("name at least one EvsJob, or a --selector", USAGE)
    return Selection(plain, selector)


def missing(kubectl: Kubectl, name: str) -> PluginError:
    """Return the error for an EvsJob that is not there: perhaps its namespace is not, either."""
    try:
        return PluginError(f"there is no EvsJob {name}{where(kubectl)}", NOT_FOUND)
    except PluginError as error:
        return error


def where(kubectl: Kubectl) -> str:
    """Return where a command looks, to be put after a sentence; PluginError if that namespace is not there."""
    namespace = kubectl.namespace()
    if not namespace:
        return ""
    try:
        kubectl.read("get", "namespace", namespace, "-o", "name")
    except KubectlError as error:
        if error.cause is Cause.NOT_FOUND:
            raise
    return f" in the namespace {namespace}"


def key_of(obj: object) -> Key:
    """Return namespace and name of an object."""
    metadata = mapping(mapping(obj).get("metadata"))
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def name_of(obj: object) -> str:
    """Return the name of an object."""
    return key_of(obj)[1]


def _name(text: str) -> str:
    kind, slash, name = text.rpartition("/")
    if slash and kind.lower().partition(".")[0] not in ("evsjob", "evsjobs", "evsj"):
        raise PluginError(f"{text} is no EvsJob: write its name", USAGE)
    if not name or name.startswith("-"):
        raise PluginError(f"{text!r} is no name of an EvsJob", USAGE)
    return name
