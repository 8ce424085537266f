"""Flags of click that have a variable each, and one way to refuse what is wrong with them.

Called by the settings of every command. click finds the value: the flag before its variable before the default. A wrong
one is a SettingsError, one line that names the flag or variable and says what is allowed. An empty variable counts as
not set; an empty item in a list does not, or a stray comma in EVS_OPERATOR_NAMESPACE would turn "these namespaces" into
"all". Deliberately not used: click's own types, whose errors name the flag even if its variable is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import click
from click.core import ParameterSource, augment_usage_errors

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_T = TypeVar("_T")
_ENV_PREFIX: Final = "EVS_OPERATOR_"


class SettingsError(click.UsageError):
    """A flag or variable has a value that is not allowed."""


class Command(click.Command):
    """A command that is named in whatever is wrong with its flags."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the flags; raises click.UsageError."""
        with augment_usage_errors(ctx):
            return super().parse_args(ctx, args)


class Value(click.ParamType[_T], Generic[_T]):
    """What a flag takes: `parse` returns the value, or raises a SettingsError that says what to write instead.

    A shell completes `words`, or files.
    """

    def __init__(self, parse: Callable[[str], _T], *, words: tuple[str, ...] = (), files: bool = False) -> None:
        self.name = "value"
        self._parse = parse
        self._words = words
        self._files = files

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> _T:
        """Return the value; raises SettingsError."""
        try:
            return self._parse(value)
        except SettingsError as error:
            raise _refusal(value, error.message, param, ctx) from None

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the items of a list, the empty ones too."""
        return [item.strip() for item in rv.split(",")]

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return what may stand there."""
        from click.shell_completion import CompletionItem

        if self._files:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(word) for word in self._words if word.startswith(incomplete)]


class _YesOrNo(click.types.BoolParamType):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        found = self.str_to_bool(value)
        if found is None:
            raise _refusal(value, "write true or false", param, ctx)
        return found


def _refusal(value: str, allowed: str, param: click.Parameter | None, ctx: click.Context | None) -> SettingsError:
    from evs_operator.redact.redactor import Redactor

    # A URL may hold a password, and this line ends up in somebody's log.
    line = f"{Redactor()(value)[:200]!r} is not allowed: {allowed}"
    return SettingsError(f"{_place(param, ctx)}: {line}" if param and ctx else line, ctx)


def _place(param: click.Parameter, ctx: click.Context) -> str:
    from_variable = ctx.get_parameter_source(param.name) is ParameterSource.ENVIRONMENT
    return str(param.envvar if from_variable else param.opts[0])


def flag(
    name: str,
    metavar: str,
    value: Value[Any],
    help: str,
    *,
    field: str | None = None,
    default: str | Callable[[], str] | None = None,
    without: str | None = None,
    repeatable: bool = False,
) -> click.Option:
    """Return a flag that takes a value; click hands it on as `field`, else by the flag's own name.

    `default` is written as a user would; `without` says in the help what holds if there is none to be written.
    """
    return click.Option(
        [name, field] if field else [name],
        type=value,
        metavar=metavar,
        help=help,
        default=default,
        multiple=repeatable,
        callback=_each_once if repeatable else None,
        envvar=variable_of(name),
        show_envvar=True,
        show_default=without or True,
    )


def switch(name: str, help: str) -> click.Option:
    """Return a flag without a value; a name such as `--a/--no-a` can be switched off too."""
    variable = variable_of(name.partition("/")[0])
    return click.Option(
        [name], type=_YesOrNo(), is_flag=True, help=help, envvar=variable, show_envvar=True, show_default="/" in name
    )


def variable_of(name: str) -> str:
    """Return the environment variable of a flag."""
    return _ENV_PREFIX + name.lstrip("-").replace("-", "_").upper()


def _each_once(ctx: click.Context, param: click.Parameter, values: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(dict.fromkeys(values))
