"""The pipeline file: its schema, and reading it."""

from components.pipelines.data import Column, History, Labels, Sink, Source
from components.pipelines.durations import parse_duration, write_duration
from components.pipelines.reading import find_pipeline, list_pipelines, read_pipeline
from components.pipelines.spec import HIGHER_IS_BETTER, Pipeline, Window
from components.pipelines.spelling import nearest

__all__ = [
    "HIGHER_IS_BETTER",
    "Column",
    "History",
    "Labels",
    "Pipeline",
    "Sink",
    "Source",
    "Window",
    "find_pipeline",
    "list_pipelines",
    "nearest",
    "parse_duration",
    "read_pipeline",
    "write_duration",
]
