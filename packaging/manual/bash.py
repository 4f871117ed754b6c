"""Completion for bash: a table of what may follow what, and one function that looks it up."""

import shlex
from collections.abc import Iterable, Iterator

from manual.commands import Option, Program

# $1: the program, $2: the word under the cursor, $3: the one before it, as `complete -F` calls it.
# A value of an option is skipped on the way, so that it is not taken for a command.
_FUNCTION = """\
{function}() {{
    local -A follows=() flags=() values=() takes=()
{tables}
    local path={name} word="" skip="" index
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${{COMP_WORDS[index]}}
        if [[ $skip ]]; then
            skip=""
        elif [[ ${{takes[$path $word]-}} ]]; then
            skip=1
        elif [[ " ${{follows[$path]-}} " == *" $word "* ]]; then
            path+=" $word"
        fi
    done
    COMPREPLY=()
    if [[ $skip && ${{takes[$path $3]-}} == file ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$2")
    elif [[ $skip ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${{values[$path $3]-}}" -- "$2")
    elif [[ $2 == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${{flags[$path]-}}" -- "$2")
    else
        mapfile -t COMPREPLY < <(compgen -W "${{follows[$path]-}}" -- "$2")
    fi
}}
complete -F {function} {name}
"""


def completion(program: Program) -> str:
    """The text of the program's file in /usr/share/bash-completion/completions."""
    tables = "\n".join(f"    {line}" for line in _tables(program))
    function = "_" + program.name.replace("-", "_")
    return _FUNCTION.format(function=function, name=program.name, tables=tables)


def _tables(program: Program) -> Iterator[str]:
    follows: dict[str, list[str]] = {}
    for command in program.commands:
        for depth, word in enumerate(command.words):
            next_words = follows.setdefault(_path(program, *command.words[:depth]), [])
            if word not in next_words:
                next_words.append(word)
    for path, words in follows.items():
        yield f"follows[{shlex.quote(path)}]={shlex.quote(' '.join(sorted(words)))}"
    yield from _of_options(_path(program), program.options)
    for command in program.commands:
        yield from _of_options(_path(program, *command.words), command.options)


def _path(program: Program, *words: str) -> str:
    return " ".join((program.name, *words))


def _of_options(path: str, options: Iterable[Option]) -> Iterator[str]:
    yield f"flags[{shlex.quote(path)}]={shlex.quote(' '.join(f for o in options for f in o.flags))}"
    for option in options:
        for flag in option.flags if option.metavar else ():
            key = shlex.quote(f"{path} {flag}")
            yield f"takes[{key}]={'file' if option.takes_file else 'value'}"
            if option.choices:
                yield f"values[{key}]={shlex.quote(' '.join(option.choices))}"
