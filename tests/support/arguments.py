"""Settings of a command line and of variables, without a process of its own."""

from __future__ import annotations

import os

import pytest

from txfast.command.arguments import parse_arguments
from txfast.command.settings import Settings


def parse(*arguments: str, **variables: str) -> Settings:
    """The settings of a command line, and of variables named without their prefix. No other variable is set."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("TXFAST_")]:
            patch.delenv(name)
        for name, text in variables.items():
            patch.setenv(f"TXFAST_{name.upper()}", text)
        return parse_arguments(list(arguments))


def usage_error(capsys: pytest.CaptureFixture[str], *arguments: str, **variables: str) -> str:
    """The one line that a wrong command line gets."""
    with pytest.raises(SystemExit) as end:
        parse(*arguments, **variables)
    assert end.value.code == 2
    output, errors = capsys.readouterr()
    assert output == ""
    [line] = errors.splitlines()
    assert line.startswith("txfast: ")
    return line
