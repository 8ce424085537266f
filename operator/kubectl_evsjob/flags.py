"""The flags that commands share, and the values that they take. Light on purpose: `--help` imports them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from .durations import seconds_of

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]

STATES: Final = ("pending", "in-progress", "action-required", "complete", "failed", "suspended")
OUTPUTS: Final = ("table", "wide", "json", "yaml", "name")
COLOURS: Final = ("auto", "always", "never")
_FORM: Final = f"The form of the result: {', '.join(OUTPUTS)}."
_COLOUR: Final = "Colours: always, never, or auto (on a terminal)."


class Duration(click.ParamType[float]):
    """A duration such as `90s`, `10m`, `1h30m` or whole seconds; the value is in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        if isinstance(value, float):
            return value
        try:
            return seconds_of(str(value))
        except ValueError:
            self.fail(f"{value!r} is no duration: write 90s, 10m or 1h30m", param, ctx)


class WholeSeconds(Duration):
    """A duration that the API takes: whole seconds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the seconds as an integer."""
        seconds = super().convert(value, param, ctx)
        if seconds != int(seconds):
            self.fail(f"{value!r} is not a whole number of seconds", param, ctx)
        return int(seconds)


class States(click.ParamType[tuple[str, ...]]):
    """States by name, separated by commas, in any case and with or without dashes; the value is a tuple of words."""

    name = "states"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the words as `STATES` has them."""
        known = {state.replace("-", ""): state for state in STATES}
        found = []
        for word in value if isinstance(value, tuple) else str(value).split(","):
            plain = word.strip().lower().replace("-", "")
            if plain not in known:
                self.fail(f"{word!r} is no state: write {', '.join(STATES)}", param, ctx)
            found.append(known[plain])
        return tuple(found)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Complete the last word of the list."""
        from click.shell_completion import CompletionItem

        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(f"{before}{comma}{state}") for state in STATES if state.startswith(last)]


class Pair(click.ParamType[tuple[str, str]]):
    """`KEY=VALUE`; the value is a tuple of both."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return key and value."""
        if isinstance(value, tuple):
            return value[0], value[1]
        key, equals, text = str(value).partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is no KEY=VALUE", param, ctx)
        return key, text


def cluster_flags(command: Command) -> Command:
    """Add the flags that say which cluster and namespace are meant; kubectl gets them."""
    for option in (
        click.option("--kubeconfig", metavar="FILE", help="The kubeconfig to use."),
        click.option("--context", metavar="NAME", help="The context of the kubeconfig to use."),
        click.option("-n", "--namespace", metavar="NAME", help="The namespace; default: that of the context."),
    ):
        command = option(command)
    return command


def selection_flags(command: Command) -> Command:
    """Add the flags that select EvsJobs otherwise than by name."""
    for option in (
        click.option("-l", "--selector", metavar="LABELS", help="Those with these labels, such as app=db."),
        click.option("-A", "--all-namespaces", is_flag=True, help="Those of all namespaces."),
    ):
        command = option(command)
    return command


def output_flags(command: Command) -> Command:
    """Add the flags that say how to print."""
    for option in (
        click.option("--color", "colour", type=click.Choice(COLOURS), metavar="WHEN", help=_COLOUR),
        click.option("--no-headers", is_flag=True, help="No line of titles above a table."),
        click.option("-o", "--output", type=click.Choice(OUTPUTS), metavar="FORM", help=_FORM),
    ):
        command = option(command)
    return command


def wait_flags(command: Command) -> Command:
    """Add the flags that say how long to wait, and how loudly."""
    for option in (
        click.option("--quiet", "-q", is_flag=True, help="No progress and no table; why it is not 0, in one line."),
        click.option("--keep-waiting", is_flag=True, help="Wait on while a person must act."),
        click.option("--timeout", type=Duration(), help="How long to wait, such as 10m; default: as long as it takes."),
    ):
        command = option(command)
    return command
