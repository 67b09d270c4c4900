"""A pipeline file becomes a value, or a sentence that says what is wrong with it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from components.errors import PipelineFileError, UnknownPipelineError
from components.pipelines import Pipeline, find_pipeline, list_pipelines, nearest, read_pipeline

LEAST = {
    "source": "source: {path: rides.csv}",
    "time": "time: at",
    "target": "target: count",
    "label_delay": "label_delay: 1d",
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write rides.yaml: the least that a file needs, some lines left out, some added."""

    def made(*lines: str, without: str = "") -> Path:
        file = tmp_path / "rides.yaml"
        kept = [line for field, line in LEAST.items() if field != without]
        file.write_text("\n".join([*kept, *lines, ""]), encoding="utf-8")
        return file

    return made


def complaint(file: Path) -> str:
    with pytest.raises(PipelineFileError) as caught:
        read_pipeline(file)
    assert str(caught.value).startswith(str(file))
    return str(caught.value)


def test_source_time_target_and_a_label_delay_are_enough(write: Write) -> None:
    pipeline = read_pipeline(write())
    assert (pipeline.name, pipeline.time, pipeline.target) == ("rides", "at", "count")
    assert pipeline.label_delay == timedelta(days=1)
    assert pipeline.source_path == write().parent / "rides.csv"


def test_the_shipped_pipeline_reads(clone: Path) -> None:
    pipeline = read_pipeline(clone / "pipelines" / "bikeshare.yaml")
    assert len(pipeline.features) == 9
    assert pipeline.source_path.is_file()


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("candidats: [linear]", "unknown field 'candidats'; did you mean candidates?"),
        ("windw: all", "unknown field 'windw'; did you mean window?"),
        ("gate: {margn: 0.1}", "unknown field 'gate.margn'; did you mean margin?"),
        ("columns: {a: {knd: number}}", "unknown field 'columns.a.knd'; did you mean kind?"),
        (
            "monitor: {columns: {a: {methd: ks, threshold: 1}}}",
            "unknown field 'monitor.columns.a.methd'; did you mean method?",
        ),
        ("policy: {kind: drift, neded: 2}", "unknown field 'policy.neded'; did you mean needed?"),
        ("window: {lst: 3d}", "unknown field 'windows.0.lst'; did you mean last?"),
        ("zzz: 1", "unknown field 'zzz' (known: name, source"),
    ],
)
def test_a_misspelt_field_is_named_with_the_nearest(
    write: Write, lines: str, sentence: str
) -> None:
    assert sentence in complaint(write(lines))


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("task: regresion", "Got 'regresion'; did you mean regression?"),
        ("candidates: [liner]", "Got 'liner'; did you mean linear?"),
        ("policy: drfit", "field 'policy.kind': Input should be 'never', 'periodic' or 'drift'"),
        ("columns: {a: numbr}", "Got 'numbr'; did you mean number?"),
        ("schedule: {trian: '@daily'}", "Got 'trian'; did you mean train?"),
    ],
)
def test_a_misspelt_choice_is_named_with_the_nearest(
    write: Write, lines: str, sentence: str
) -> None:
    assert sentence in complaint(write(lines))


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("columns: [a]", "field 'columns'"),
        ("windows: all", "field 'windows'"),
        ("seed: -1", "field 'seed': Input should be greater than or equal to 0. Got -1"),
        ("gate: {margin: 2}", "field 'gate.margin'"),
        ("max_age: 7", "such as 30min, 1h, 7d or 2w. Got 7"),
        ("first_train: soon", "field 'first_train'"),
        ("holdout: 3", "field 'holdout'"),
        ("1: x", "Keys should be strings"),
        ("policy: {needed: 4, of: 3}", "needed (4) must not exceed of (3)"),
        ("columns: {a: {kind: number, min: 5, max: 3}}", "min (5) must not exceed max (3)"),
        ("candidates: []", "candidates and windows must each name at least one"),
        ("windows: []", "candidates and windows must each name at least one"),
        ("columns: {count: number}", "count already serves as time, target, id or label time"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_what_is_allowed(
    write: Write, lines: str, sentence: str
) -> None:
    assert sentence in complaint(write(lines))


@pytest.mark.parametrize(
    "line",
    [
        "window: last 0d",
        "monitor: {window: 0d}",
        "gate: {block: 0s}",
        "holdout: {most: 0d}",
        "season: 0h",
        "policy: periodic:0d",
    ],
)
def test_a_width_of_nothing_is_refused(write: Write, line: str) -> None:
    assert "must be longer than nothing" in complaint(write(line))


def test_several_mistakes_are_told_at_once(write: Write) -> None:
    said = complaint(write("candidats: [linear]", "seed: -1", without="target"))
    assert "candidats" in said
    assert "seed" in said
    assert "field 'target' is missing" in said


def test_neither_a_delay_nor_a_time_of_the_label_would_leak_the_future(write: Write) -> None:
    assert "a guess would leak the future" in complaint(write(without="label_delay"))


def test_two_truths_about_when_a_label_is_known_are_refused(write: Write) -> None:
    assert "needs one of label_delay" in complaint(write("label_time: counted_at"))


def test_window_and_windows_together_are_refused(write: Write) -> None:
    said = complaint(write("window: all", "windows: [all, last 90d]"))
    assert "give either window or windows, not both" in said


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("window: all", ["all"]),
        ("window: last 90d", ["last 90d"]),
        ("window: [all, last 36h]", ["all", "last 36h"]),
        ("windows: [{last: 2w}]", ["last 14d"]),
        ("", ["all"]),
    ],
)
def test_windows_have_short_forms(write: Write, written: str, meant: list[str]) -> None:
    assert [str(window) for window in read_pipeline(write(written)).windows] == meant


@pytest.mark.parametrize(
    ("written", "kind", "period"),
    [("never", "never", 28), ("periodic:7d", "periodic", 7), ("drift", "drift", 28)],
)
def test_policies_have_short_forms(write: Write, written: str, kind: str, period: int) -> None:
    policy = read_pipeline(write(f"policy: {written}")).policy
    assert (policy.kind, policy.period) == (kind, timedelta(days=period))


def test_a_column_may_be_given_by_its_kind_alone(write: Write) -> None:
    pipeline = read_pipeline(write("columns: {a: number, b: {kind: category, nulls: false}}"))
    assert pipeline.features == ("a", "b")
    assert pipeline.columns["a"].nulls
    assert not pipeline.columns["b"].nulls


def test_a_name_that_is_not_the_files_own_is_refused(write: Write) -> None:
    said = complaint(write("name: rdes"))
    assert "name must equal the file's own name, 'rides'. Got 'rdes'" in said


@pytest.mark.parametrize(
    "content",
    ["source: {path: [", "a: b: c", "\tx: 1", "? [a]\n: b"],
    ids=["open bracket", "two colons", "tab", "a list as a key"],
)
def test_what_is_no_yaml_is_said_so(write: Write, content: str) -> None:
    file = write()
    file.write_text(content, encoding="utf-8")
    assert "is not readable as YAML" in complaint(file)


def test_bytes_that_are_no_text_are_no_yaml(write: Write) -> None:
    file = write()
    file.write_bytes(b"\xff\xfe\x00name")
    assert "is not readable as YAML" in complaint(file)


@pytest.mark.parametrize("content", ["", "just words", "- a\n- b", "7"])
def test_yaml_without_fields_is_refused_with_an_example(write: Write, content: str) -> None:
    file = write()
    file.write_text(content, encoding="utf-8")
    assert "must hold fields such as 'target: price'" in complaint(file)


def test_a_file_that_is_missing_is_said_so(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in complaint(tmp_path / "rides.yaml")


def test_what_is_read_does_not_change(write: Write) -> None:
    file = write("window: last 90d", "policy: periodic:7d", "columns: {a: number}")
    pipeline = read_pipeline(file)
    again = Pipeline.model_validate({**pipeline.model_dump(), "file": pipeline.file})
    assert again == pipeline


# --- finding a file ------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Give two folders: rides in both, parking in the second."""
    home, shipped = tmp_path / "home", tmp_path / "shipped"
    for folder, names in ((home, ["rides"]), (shipped, ["rides", "parking"])):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.yaml").touch()
    return home, shipped


def test_the_first_folder_that_holds_a_pipeline_wins(folders: tuple[Path, Path]) -> None:
    home, shipped = folders
    assert find_pipeline("rides", folders) == home / "rides.yaml"
    assert find_pipeline("parking", folders) == shipped / "parking.yaml"


def test_a_misspelt_pipeline_is_named_with_the_nearest(folders: tuple[Path, Path]) -> None:
    with pytest.raises(UnknownPipelineError, match=r"did you mean parking\? Known: parking, rides"):
        find_pipeline("praking", folders)


def test_a_strange_name_is_answered_with_all_that_are_known(folders: tuple[Path, Path]) -> None:
    with pytest.raises(UnknownPipelineError, match=r"shipped\. Known: parking, rides\."):
        find_pipeline("zzz", folders)


def test_a_folder_that_is_absent_holds_none(tmp_path: Path) -> None:
    with pytest.raises(UnknownPipelineError, match="Known: none yet"):
        find_pipeline("rides", [tmp_path / "absent"])


def test_each_pipeline_is_listed_once(folders: tuple[Path, Path]) -> None:
    assert list_pipelines(folders) == ["parking", "rides"]


def test_nothing_near_is_no_suggestion() -> None:
    assert nearest("xyz", ["bikeshare"]) == ""


@pytest.mark.parametrize("field", ["slices", "sensitive"])
def test_rows_are_cut_by_what_records_keep_only(write: Write, field: str) -> None:
    columns = "columns: {heat: number}"
    assert read_pipeline(write(columns, "entity: town", f"{field}: [heat, town]"))
    said = complaint(write(columns, f"{field}: [heta]"))
    assert f"{field} must name features or the entity" in said
    assert "Got 'heta'; did you mean heat? Known: heat" in said
    assert read_pipeline(write(f"{field}: [later]"))  # whose columns the data will tell


@pytest.mark.parametrize(
    "line",
    [
        "sink: postgresql://ann:secret@db.example/shop",
        "labels: {url: 'postgresql://ann:secret@db.example/shop', table: t, id: i, time: t}",
        "labels: postgresql://ann:secret@db.example/shop",
        "entity: {url: 'postgresql://ann:secret@db.example/shop'}",
    ],
)
def test_a_password_that_stands_in_the_file_is_not_repeated(write: Write, line: str) -> None:
    assert "secret" not in complaint(write(line))
