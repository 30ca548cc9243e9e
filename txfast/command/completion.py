"""Completion scripts for bash, zsh and fish, made from the table of options.

A FILE or DIR is completed with the names of files, a choice with its words, and any other value with nothing. An
argument that is no option is completed with the names of files and with the levels. This module must not know what an
option does.
"""

from txfast.log.journal import LEVELS

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

    from txfast.command.option import Option

FILE_METAVARS = ("FILE", "DIR")


def completion_script(shell: str, options: "Sequence[Option]") -> str:
    """Return the script for one of SHELLS."""
    return {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}[shell](options)


def quoted(text: str) -> str:
    """Quote any text as one word for bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


# ---- bash ----------------------------------------------------------------------------------------

# With `-o default`, readline itself completes files if the function finds nothing; it knows how to quote names. The
# function turns that off for a value that is no file. bash makes the `=` of --option=value a word of its own.
BASH = """\
# Completes txfast in bash. To load it: source <(txfast --completion bash)
_txfast() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words= positional= each
    COMPREPLY=()
    if [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ $each == -- ]]; then
            before=--
        fi
    done
    case $before in
@CASES@
    *)
        if [[ $word == -* && $before != -- ]]; then
            words='@FLAGS@'
        else
            words='@LEVELS@' positional=true
        fi
        ;;
    esac
    while IFS= read -r each; do
        COMPREPLY+=("$each")
    done < <(compgen -W "$words" -- "$word")
    # Where levels match, files are added here; where none does, readline completes files.
    if [[ $positional && ${#COMPREPLY[@]} -gt 0 ]]; then
        compopt -o filenames 2>/dev/null
        while IFS= read -r each; do
            COMPREPLY+=("$each")
        done < <(compgen -f -- "$word")
    fi
}
complete -o default -F _txfast txfast
"""


def bash_script(options: "Sequence[Option]") -> str:
    """Return the script for bash."""
    cases = []
    for option in options:
        if option.metavar is None:
            continue
        if option.metavar in FILE_METAVARS:
            action = "return"
        elif option.choices is None:
            action = "compopt +o default 2>/dev/null; return"
        else:
            action = f"compopt +o default 2>/dev/null; words='{' '.join(option.choices)}'"
        cases.append(f"    {'|'.join(option.flags)}) {action} ;;")
    flags = " ".join(flag for option in options for flag in option.flags)
    return BASH.replace("@CASES@", "\n".join(cases)).replace("@FLAGS@", flags).replace("@LEVELS@", " ".join(LEVELS))


# ---- zsh -----------------------------------------------------------------------------------------

# zsh runs a file in fpath as the body of the function `_txfast`: the script then defines the function and calls it. If
# the script is sourced, it registers the function with `compdef`.
ZSH = """\
#compdef txfast
# Completes txfast in zsh. To load it, after compinit: source <(txfast --completion zsh)
_txfast_words() {
    local -a levels=(@LEVELS@)
    _alternative 'files:file:_files' "levels:level:($levels)"
}
_txfast() {
    _arguments -s -S : \\
@SPECIFICATIONS@
        '*: :_txfast_words'
}
if [ "$funcstack[1]" = _txfast ]; then
    _txfast "$@"
else
    compdef _txfast txfast
fi
"""


def zsh_script(options: "Sequence[Option]") -> str:
    """Return the script for zsh."""
    specifications = [specification for option in options for specification in zsh_specifications(option)]
    lines = "\n".join(f"        {quoted(specification)} \\" for specification in specifications)
    return ZSH.replace("@SPECIFICATIONS@", lines).replace("@LEVELS@", " ".join(LEVELS))


def zsh_specifications(option: "Option") -> list[str]:
    """Return specifications for zsh's `_arguments`: one for each flag, which excludes the option's other flags."""
    explanation = "".join("\\" + sign if sign in "\\[]:" else sign for sign in option.help)
    value = long_end = short_end = ""
    if option.metavar is not None:
        long_end, short_end = "=", "+"
        choices = f"({' '.join(option.choices)})" if option.choices is not None else " "
        value = f":{option.metavar}:" + ("_files" if option.metavar in FILE_METAVARS else choices)
    others = f"({' '.join(option.flags)})"
    return [
        f"{others}{flag}{long_end if flag.startswith('--') else short_end}[{explanation}]{value}"
        for flag in option.flags
    ]


# ---- fish ----------------------------------------------------------------------------------------


def fish_script(options: "Sequence[Option]") -> str:
    """Return the script for fish."""
    lines = [
        "# Completes txfast in fish. To load it: txfast --completion fish | source",
        f"complete -c txfast -a {fish_quoted(' '.join(LEVELS))} -d 'what is logged'",
    ]
    for option in options:
        words = ["complete -c txfast"]
        words += [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags]
        if option.metavar in FILE_METAVARS:
            words.append("-r -F")
        elif option.choices is not None:
            words.append(f"-x -a {fish_quoted(' '.join(option.choices))}")
        elif option.metavar is not None:
            words.append("-x")
        words.append(f"-d {fish_quoted(option.help)}")
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


def fish_quoted(text: str) -> str:
    """Quote any text as one word for fish, where a backslash escapes inside quotes too."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
