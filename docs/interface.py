"""The Python interface as a page: signatures and docstrings of everything public, as Markdown.

make_reference.py puts it into docs/reference/api.md.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, get_args

import txfast
from txfast.api import arguments


def interface(_: dict[str, str]) -> str:
    """Everything public: signatures and docstrings."""
    found = {name: getattr(txfast, name) for name in txfast.__all__}
    functions = [name for name, value in found.items() if inspect.isfunction(value)]
    classes = [name for name, value in found.items() if inspect.isclass(value) and not issubclass(value, Exception)]
    others = sorted(set(found) - set(functions) - set(classes) - {name for name in found if name.endswith("Error")})
    lines = ["## Functions", ""]
    for name in functions:
        lines += [f"### txfast.{name}", "", signature(f"txfast.{name}", found[name]), "", docstring(found[name]), ""]
    lines += ["## Classes", ""]
    for name in classes:
        lines += class_text(name, found[name])
    lines += ["## Other names", "", *(f"`txfast.{name}`: the version of the package, as text." for name in others)]
    return "\n".join(lines)


def class_text(name: str, found: type) -> Iterator[str]:
    yield from (f"### txfast.{name}", "")
    if name == "Ledger" or hasattr(found, "_fields"):  # the others are made by txfast alone
        yield from (signature(f"txfast.{name}", found), "")
    yield from (docstring(found), "")
    for member, value in members_of(found).items():
        title = f"{name}.{member}"
        text = docstring(value)
        if isinstance(value, property):
            yield from (f"#### {title} (property)", "", text, "")
        elif not member.startswith("_") or text:
            function = value.__func__ if isinstance(value, classmethod) else value
            yield from (f"#### {title}", "", signature(title, function), "", text, "")


def members_of(found: type) -> dict[str, Any]:
    """Methods and properties that are for everyone, those of a base of ours among them."""
    members: dict[str, Any] = {}
    for base in reversed(found.__mro__):
        if base.__module__.startswith("txfast."):
            members |= vars(base)
    wanted = (property, classmethod, type(members_of))
    return {
        name: value
        for name, value in members.items()
        if isinstance(value, wanted) and (not name.startswith("_") or name in SPECIAL_METHODS)
    }


SPECIAL_METHODS = ("__getitem__", "__contains__", "__iter__", "__len__", "__arrow_c_stream__")


def signature(name: str, function: Callable[..., object]) -> str:
    """A function as it is called, an argument a line where one line is too short."""
    found = inspect.signature(function)
    arguments = [argument(each) for each in found.parameters.values() if each.name not in ("self", "cls")]
    stars = [index for index, each in enumerate(found.parameters.values()) if each.kind is each.KEYWORD_ONLY]
    if stars and not any(each.kind is each.VAR_POSITIONAL for each in found.parameters.values()):
        arguments.insert(len(arguments) - len(stars), "*")
    returned = "" if found.return_annotation in (None, "None", found.empty) else f" -> {annotation(found)}"
    line = f"{name}({', '.join(arguments)}){returned}"
    if len(line) > 100:
        line = f"{name}(\n" + "".join(f"    {each},\n" for each in arguments) + f"){returned}"
    return f"```py\n{line}\n```"


def annotation(found: inspect.Signature) -> str:
    return annotation_text(found.return_annotation)


def argument(parameter: inspect.Parameter) -> str:
    stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
    text = f"{stars}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {annotation_text(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {parameter.default!r}"
    return text


def annotation_text(given: object) -> str:
    """A type as it is written in the code, with the words that an argument may be in place of their name."""
    text = given if isinstance(given, str) else inspect.formatannotation(given)
    text = re.sub(r"txfast\.api\.\w+\.", "", text)
    return re.sub(r"\w+", lambda name: literal(name[0]), text)


def literal(name: str) -> str:
    words = get_args(getattr(arguments, name, None))
    return f"Literal[{', '.join(map(repr, words))}]" if words else name


def docstring(found: object) -> str:
    """A docstring as Markdown: examples and tables in it are blocks."""
    parts = []
    for paragraph in (inspect.getdoc(found) or "").split("\n\n"):
        if paragraph.startswith(">>>"):
            parts.append(f"```pycon\n{paragraph}\n```")
        elif paragraph.startswith(" ") or re.search(r"\w  +\w", paragraph):  # columns
            parts.append(f"```text\n{inspect.cleandoc(paragraph)}\n```")
        else:
            parts.append(filled(paragraph))
    return "\n\n".join(parts)


def filled(paragraph: str) -> str:
    return textwrap.fill(" ".join(paragraph.split()), 120, break_long_words=False, break_on_hyphens=False)
