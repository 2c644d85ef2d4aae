import operator
import os
from typing import Any, List, Mapping, Optional, Sequence, Union

from .common import EnvType, GenericPath


class ValidationException(Exception):
    """An argument of the wrong type or value."""


def validate_args(args: Union[str, Sequence[str]]) -> List[str]:
    """A command as a list of words; a plain string is one word."""
    if isinstance(args, str):
        return [args]
    if isinstance(args, (bytes, Mapping)) or not hasattr(args, "__iter__"):
        raise ValidationException(f"args have to be strings, not {type(args).__name__}")
    words = list(args)
    for word in words:
        if not isinstance(word, str):
            raise ValidationException(
                f"args have to be strings, {word!r} is {type(word).__name__}")
    return words


def validate_env(env: Optional[Mapping[str, str]]) -> EnvType:
    """A copy of the variables."""
    if env is None:
        return {}
    if not isinstance(env, Mapping):
        raise ValidationException(f"env has to be a dictionary, not {type(env).__name__}")
    for name, value in env.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ValidationException(
                f"variables have to be strings, got {name!r}: {value!r}")
    return dict(env)


def validate_path(path: Optional[GenericPath], what: str) -> Optional[str]:
    if path is None:
        return None
    # A path object may be of any class that tells its text.
    text = os.fspath(path) if hasattr(path, "__fspath__") else path
    if not isinstance(text, str):
        raise ValidationException(f"{what} has to be a path, not {type(path).__name__}")
    if not text:
        raise ValidationException(f"{what} cannot be empty")
    return text


def validate_int(value: Any, what: str) -> int:
    """A plain int: those of other classes, numpy's for instance, print otherwise."""
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise ValidationException(f"{what} has to be a whole number, not {value!r}")
