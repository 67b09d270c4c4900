"""Read a pipeline file, and say in words what is wrong with it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from components.errors import PipelineFileError, UnknownPipelineError
from components.pipelines.spec import Pipeline
from components.pipelines.spelling import nearest


def find_pipeline(name: str, folders: Sequence[Path]) -> Path:
    """Find `NAME.yaml` in the first of `folders` that holds it.

    Raises
    ------
    UnknownPipelineError
        If none does; names the nearest one.

    """
    for folder in folders:
        candidate = folder / f"{name}.yaml"
        if candidate.is_file():
            return candidate
    known = list_pipelines(folders)
    places = " or ".join(str(folder) for folder in folders)
    raise UnknownPipelineError(
        f"no pipeline named {name!r} in {places}{nearest(name, known) or '.'} "
        f"Known: {', '.join(known) or 'none yet'}."
    )


def list_pipelines(folders: Sequence[Path]) -> list[str]:
    """Name the pipelines in `folders`, sorted, each once."""
    return sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})


def read_pipeline(file: Path, place: Callable[[str], str | None] = lambda _: None) -> Pipeline:
    """Read and check one pipeline file.

    Parameters
    ----------
    file : Path
    place : callable
        What ``${NAME}`` stands for; None where that is unknown, which is an error only once
        the address is needed.

    Raises
    ------
    PipelineFileError
        If it is not YAML or does not fit the schema; names the file, the field, what was
        found, what is allowed, and the nearest valid spelling.

    """
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise PipelineFileError(f"{file} is not readable as YAML: {problem}") from problem
    except OSError as problem:
        raise PipelineFileError(f"{file} cannot be read: {problem.strerror}") from problem
    if not isinstance(given, dict):
        raise PipelineFileError(f"{file} must hold fields such as 'target: price'. Got {given!r}")
    given.setdefault("name", file.stem)
    try:
        pipeline = Pipeline.model_validate({**given, "file": file.resolve()})
        pipeline = pipeline.model_copy(update={"places": _places(pipeline, place)})
    except ValidationError as problem:
        raise PipelineFileError(_in_words(file, problem)) from problem
    if pipeline.name != file.stem:
        raise PipelineFileError(
            f"{file}: name must equal the file's own name, {file.stem!r}. Got {pipeline.name!r}"
        )
    return pipeline


def _places(pipeline: Pipeline, place: Callable[[str], str | None]) -> dict[str, str]:
    named = [part.url[2:-1] for part in pipeline.addressed if part.url is not None]
    found = {name: place(name) for name in named}
    return {name: url for name, url in found.items() if url}


def _in_words(file: Path, problem: ValidationError) -> str:
    lines = [_sentence(dict(error)) for error in problem.errors(include_url=False)]
    return f"{file}: " + "; ".join(dict.fromkeys(lines))


def _sentence(error: dict[str, Any]) -> str:
    place = [part for part in error["loc"] if isinstance(part, str)]
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = [name for name in _fields_at(place[:-1]) if name not in {"file", "places"}]
        hint = nearest(place[-1], known) or f" (known: {', '.join(known)})"
        return f"unknown field {field!r}{hint}"
    if error["type"] == "missing":
        return f"field {field!r} is missing"
    # Whoever puts an address where none belongs must not find its password in a log.
    shown = re.sub(r"(://[^:/@]*):[^/]*@", r"\1:…@", repr(error["input"]))
    found = f". Got {shown}" if field and "Got" not in error["msg"] else ""
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "literal_error":
        allowed = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        found += nearest(str(error["input"]), allowed)
    return f"field {field!r}: {message}{found}" if field else f"{message}{found}"


def _fields_at(place: Sequence[str]) -> list[str]:
    """Name the fields of the section at `place`, following the schema down."""
    section: type[BaseModel] = Pipeline
    for part in place:
        field = section.model_fields.get(part)
        inner = _section_of(field.annotation) if field is not None else None
        if inner is not None:
            section = inner
    return list(section.model_fields) + (["window"] if section is Pipeline else [])


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_section_of(part) for part in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)
