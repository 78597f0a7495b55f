"""A Python function as a tool of a chat."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, overload

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic_core import to_json

from .._sansio.docstring import parse_docstring
from .._sansio.response_format import QuietJsonSchema, problems_of
from .._sansio.strict_schema import strict_schema
from .._threads import in_thread
from ..errors import InvalidInputError

P = ParamSpec("P")
R = TypeVar("R")

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What OpenAI's API takes as the name of a function."""
_NO_SINGLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)


class Tool(Generic[P, R]):
    """A function that a model may call: made by `tool`, and still to be called as before.

    Attributes:
        name: that the model knows it by.
        description: what the model is told of it.
        parameters: the JSON schema of its arguments.
        strict: whether that follows OpenAI's strict rules.
    """

    def __init__(self, function: Callable[P, R], name: str, description: str, *, strict: bool) -> None:
        self._function = function
        self._arguments = _Arguments(function)
        self.name: str = name
        self.description: str = description
        self.strict: bool = strict
        self.parameters: dict[str, Any] = self._arguments.schema(strict=strict)
        update_wrapper(self, function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The function itself."""
        return self._function(*args, **kwargs)

    def to_param(self) -> dict[str, Any]:
        """As the API takes it in `tools=`."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": {**function, "strict": True} if self.strict else function}

    async def run(self, arguments: str) -> str:
        """Call it with what a model wrote. A plain function is called in a thread.

        Args:
            arguments: a JSON object.

        Returns:
            A string that the function gives as it is; all else as JSON.

        Raises:
            InvalidInputError: the arguments don't fit; it was not called.
            Exception: whatever the function raises.

        Cancelling it cancels an async function; a thread goes on to its end, and its result is lost.
        """
        given = self._arguments.read(arguments)
        result: Any
        if _is_async(self._function):
            result = self._function(**given)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        else:
            result = await in_thread(partial(self._function, **given), abandon_on_cancel=True)  # pyright: ignore[reportCallIssue]
        if inspect.isawaitable(result):
            result = await result
        return result if isinstance(result, str) else to_json(result, fallback=str).decode()

    def __repr__(self) -> str:
        return f"<Tool {self.name}>"


@overload
def tool(
    function: Callable[P, R], /, *, name: str | None = None, description: str | None = None, strict: bool = True
) -> Tool[P, R]: ...


@overload
def tool(
    *, name: str | None = None, description: str | None = None, strict: bool = True
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = True,
) -> Any:
    """Make a tool of a function, as a call or as a decorator. Its signature becomes the JSON schema.

    Args:
        function: plain or async. All parameters have types that pydantic knows; `Annotated[int, Field(ge=1)]` bounds
            one. By strict rules the model gives all of them, also those with a default.
        name: default: the function's.
        description: default: the docstring up to its first section. Parameters are described in its section `Args:`
            (or NumPy's `Parameters`, or as `:param name:`), or by `Field(description=…)`.
        strict: False for what OpenAI's strict rules don't allow, such as `dict[str, int]` or leaving defaults out.

    Raises:
        InvalidInputError: a parameter without a type or of one that has no JSON schema, `*args`, an odd name, or an
            async generator.
    """
    if function is None:
        return partial(tool, name=name, description=description, strict=strict)
    if not callable(function) or isinstance(function, type):
        raise InvalidInputError(f"a tool is made of a function, not of {function!r:.80}")
    if _is_async_generator(function):
        raise InvalidInputError(f"a tool gives its result at once, and {function!r:.80} is an async generator")
    known_as = name if name is not None else str(getattr(function, "__name__", ""))
    if not _NAME.fullmatch(known_as):
        raise InvalidInputError(
            f"a tool can't be called {known_as!r:.80}: pass name=, 64 letters, digits, - and _ at most"
        )
    told = description if description is not None else parse_docstring(function.__doc__)[0]
    return Tool(function, known_as, told, strict=strict)


def as_tool(function: Tool[..., Any] | Callable[..., Any]) -> Tool[..., Any]:
    """A tool, made of a function if it is none yet."""
    return function if isinstance(function, Tool) else tool(function)  # pyright: ignore[reportUnknownVariableType]


class _Arguments:
    """The arguments of a function, as a model of pydantic's."""

    # Its fields have names of our own: a parameter may be called as a method of pydantic's, such as `json`.
    def __init__(self, function: Callable[..., Any]) -> None:
        told = parse_docstring(function.__doc__)[1]
        self._names = {f"p{at}": one for at, one in enumerate(_parameters_of(function))}
        fields: dict[str, Any] = {
            field: (one.annotation, _field(one, told.get(one.name))) for field, one in self._names.items()
        }
        try:
            self._model: type[BaseModel] = create_model("Arguments", __config__=ConfigDict(extra="forbid"), **fields)
        except (PydanticUserError, PydanticSchemaGenerationError, NameError) as error:
            raise InvalidInputError(f"a parameter has a type that pydantic doesn't know: {_line(error)}") from None

    def schema(self, *, strict: bool) -> dict[str, Any]:
        """The JSON schema."""
        try:
            schema = self._model.model_json_schema(schema_generator=QuietJsonSchema)
        except (PydanticUserError, PydanticInvalidForJsonSchema) as error:
            raise InvalidInputError(f"a parameter has no JSON schema: {_line(error)}") from None
        del schema["title"]
        for described in schema.get("properties", {}).values():
            described.pop("title", None)  # it repeats the name, and each word is paid for
        return strict_schema(schema) if strict else schema

    def read(self, text: str) -> dict[str, Any]:
        """The arguments in a JSON text. Some models write none for none."""
        try:
            found = self._model.model_validate_json(text.strip() or "{}")
        except ValidationError as error:
            raise InvalidInputError("; ".join(problems_of(error))) from None
        return {one.name: getattr(found, field) for field, one in self._names.items()}


def _parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        signature = inspect.signature(function, eval_str=True)
    except (NameError, TypeError, ValueError, SyntaxError) as error:
        raise InvalidInputError(f"the signature of {function!r:.80} can't be read: {error}") from None
    found = list(signature.parameters.values())
    for one in found:
        if one.kind in _NO_SINGLE:
            raise InvalidInputError(f"the parameter {one} of a tool has no name that a model could give")
        if one.annotation is one.empty:
            raise InvalidInputError(f"the parameter {one.name!r} has no type, which the model is to be told")
    return found


def _field(one: inspect.Parameter, told: str | None) -> Any:
    default: Any = ... if one.default is one.empty else one.default
    # Without a word of ours, that of a `Field` in the annotation holds.
    return Field(default, alias=one.name, description=told) if told else Field(default, alias=one.name)


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _is_async_generator(function: Callable[..., Any]) -> bool:
    return inspect.isasyncgenfunction(function) or inspect.isasyncgenfunction(getattr(function, "__call__", None))  # noqa: B004


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]
