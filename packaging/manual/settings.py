"""What limosa.conf may hold, as the code declares it."""

from collections.abc import Iterator
from dataclasses import dataclass

from oslo_config import cfg

from common import config


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    name: str
    help: str
    default: str  # empty: none
    limits: str  # empty: any value of its type


def groups() -> Iterator[tuple[str, tuple[Setting, ...]]]:
    """In the order of the sample; those of oslo.messaging that are ours to set are among them."""
    for group, options in config.list_opts():
        yield group or "DEFAULT", tuple(_setting(option) for option in options)


def _setting(option: cfg.Opt) -> Setting:
    return Setting(
        name=option.name,
        help=" ".join(filter(None, (option.help or "", _explained(option.type)))),
        default=_default(option),
        limits=_limits(option.type),
    )


def _default(option: cfg.Opt) -> str:
    value = option.default if option.sample_default is None else option.sample_default
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _limits(kind: object) -> str:
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    bounds = [f"at least {least}"] if least is not None else []
    bounds += [f"at most {most}"] if most is not None else []
    choices = getattr(kind, "choices", None)
    return ", ".join(bounds) or (f"one of {', '.join(str(choice) for choice in choices)}" if choices else "")


def _explained(kind: object) -> str:
    """What each choice means, where that is told."""
    choices = getattr(kind, "choices", None)
    told = choices.items() if isinstance(choices, dict) else ()
    return "; ".join(f"{choice}: {meaning}" for choice, meaning in told if meaning)
