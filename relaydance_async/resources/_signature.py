"""Methods whose further keywords are those of a `TypedDict` show them by name, as if each were written out.

Type checkers and editors read `**params: Unpack[ChatParams]` by themselves. `help()`, `inspect.signature` and the
completion of notebooks don't: for them each method gets a `__signature__`. It is made when somebody looks, so that it
costs no import and no call anything.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from inspect import Parameter, Signature
from types import FunctionType
from typing import Any

from ..models._options import NOT_GIVEN


def show_keywords(owner: type) -> None:
    """For each method of a class."""
    for method in vars(owner).values():
        if isinstance(method, FunctionType) and _takes_keywords(method):
            setattr(method, "__signature__", _written_out(method))  # noqa: B010  (not every function has one)


def show_in_views(resource: type, *views: type) -> None:
    """The methods of a view that name their arguments for type checkers only show those of the resource."""
    for view in views:
        for name, method in vars(view).items():
            if isinstance(method, FunctionType) and not name.startswith("_"):
                shown = inspect.signature(getattr(resource, name)).replace(return_annotation=Signature.empty)
                setattr(method, "__signature__", shown)  # noqa: B010


def _takes_keywords(method: Callable[..., Any]) -> bool:
    plain: Any = inspect.unwrap(method)
    return bool(plain.__code__.co_flags & inspect.CO_VARKEYWORDS) and not hasattr(method, "__signature__")


def _written_out(method: FunctionType) -> Signature:
    plain: Any = inspect.unwrap(method)
    signature = inspect.signature(plain)
    *named, further = signature.parameters.values()
    options = plain.__globals__[further.annotation.removeprefix("Unpack[").removesuffix("]")]
    return signature.replace(parameters=[*named, *_keywords(options)])


def _keywords(options: type) -> Iterator[Parameter]:
    for name, hint in options.__annotations__.items():
        annotation: str = hint.__forward_arg__
        words = annotation.replace("|", " ").split()
        default = None if words[-1] == "None" and "NotGiven" not in words else NOT_GIVEN
        yield Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
