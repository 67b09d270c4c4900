"""Sources of any packing are read, completed and delivered as of a moment."""

import gzip
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from components.errors import PipelineFileError, SourceError
from components.pipelines import Pipeline, read_pipeline
from components.sources import deliver, read_source, resolve

TEXT = "at,temp,weather,code,count\n" + "".join(
    f"2011-01-{1 + day:02d} {hour:02d}:00:00,{day}.5,{'Clear' * bool(hour)},0{hour},{day * hour}\n"
    for day in range(3)
    for hour in range(24)
)


def pipeline_of(path: Path, **changes: object) -> Pipeline:
    given = {
        "name": "bikes",
        "source": {"path": path.name},
        "time": "at",
        "target": "count",
        "label_delay": "1d",
        "file": path.parent / "bikes.yaml",
        **changes,
    }
    return Pipeline.model_validate(given)


def write(folder: Path, text: str = TEXT, name: str = "bikes.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


# --- reading ------------------------------------------------------------------------------------


def packed(folder: Path, kind: str) -> Path:
    if kind == "csv.gz":
        path = folder / "bikes.csv.gz"
        path.write_bytes(gzip.compress(TEXT.encode()))
    elif kind == "csv.zip":
        path = folder / "bikes.csv.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("folder/bikes.csv", TEXT)
    elif kind == "gzip under another name":
        path = folder / "bikes.csv"
        path.write_bytes(gzip.compress(TEXT.encode()))
    elif kind == "semicolons and a byte order mark":
        path = folder / "bikes.csv"
        path.write_bytes(TEXT.replace(",", ";").encode("utf-8-sig"))
    elif kind == "tabs and Windows line ends":
        path = folder / "bikes.tsv"
        path.write_bytes(TEXT.replace(",", "\t").replace("\n", "\r\n").encode())
    else:
        path = write(folder)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "csv",
        "csv.gz",
        "csv.zip",
        "gzip under another name",
        "semicolons and a byte order mark",
        "tabs and Windows line ends",
    ],
)
def test_a_source_is_read_however_it_is_packed(tmp_path: Path, kind: str) -> None:
    frame = read_source(pipeline_of(packed(tmp_path, kind)))
    assert list(frame.columns) == ["at", "temp", "weather", "code", "count"]
    assert len(frame) == 72
    assert frame.loc[1, "code"] == "01"


def test_csv_and_parquet_deliver_the_same(tmp_path: Path) -> None:
    csv = write(tmp_path)
    typed = pd.read_csv(csv, parse_dates=["at"], dtype={"code": "str"})
    typed.to_parquet(tmp_path / "bikes.parquet")
    columns = {"temp": "number", "weather": "category", "code": "category"}
    delivered = [
        deliver(pipeline_of(path, columns=columns), as_of=utc("2011-01-03"))
        for path in (csv, tmp_path / "bikes.parquet")
    ]
    pd.testing.assert_frame_equal(delivered[0].records, delivered[1].records)
    pd.testing.assert_frame_equal(delivered[0].labels, delivered[1].labels)


def test_only_the_columns_of_the_pipeline_file_are_read(tmp_path: Path) -> None:
    frame = read_source(pipeline_of(write(tmp_path), columns={"temp": "number"}))
    assert list(frame.columns) == ["at", "count", "temp"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty: 0 bytes"),
        (b"at,temp,weather,code,count\n", "is empty: it has no rows"),
        (b"at,temp,count\n2011-01-01,1,2\n2011-01-02,1\n", "Expected 3 columns, got 2"),
        (b"at,temp,count\n2011-01-01,\xff\xfe,2\n", "cannot be read as CSV (UTF-8"),
        (gzip.compress(TEXT.encode())[:-40], "cannot be read as CSV"),
        (b"PK\x03\x04 not a zip", "cannot be read as CSV"),
        (b"PAR1 not parquet", "cannot be read as CSV"),
        (b"\x00\x01\x02\x03", "cannot be read as CSV"),
        (
            b"at,temp,temp2,at,count\n2011-01-01,1,2,3,4\n",
            "'at' (field 'time' of bikes.yaml) stands",
        ),
    ],
)
def test_a_source_that_cannot_be_read_is_refused_in_words(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "bikes.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError) as problem:
        read_source(pipeline_of(path))
    assert said in str(problem.value)


def test_a_zip_of_several_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bikes.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TEXT)
        archive.writestr("b.csv", TEXT)
    with pytest.raises(SourceError, match=r"must hold one file. Got 2: a\.csv, b\.csv"):
        read_source(pipeline_of(path))


def test_a_missing_source_is_named_with_the_file_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.csv does not exist.*bikes\.yaml"):
        read_source(pipeline_of(tmp_path / "gone.csv"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"empty is a folder without data.*bikes\.yaml"):
        read_source(pipeline_of(tmp_path / "empty"))


def test_an_address_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"give an address as url"):
        pipeline_of(tmp_path, source={"path": "https://example.org/bikes.csv"})


def test_a_misspelt_column_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"'cuont' \(field 'target'.*did you mean count\?"):
        read_source(pipeline_of(write(tmp_path), target="cuont"))


# --- what the pipeline file leaves to the data --------------------------------------------------


def test_columns_and_task_are_filled_from_the_data(tmp_path: Path) -> None:
    pipeline = resolve(pipeline_of(write(tmp_path), exclude=["code"]))
    kinds = {name: column.kind for name, column in pipeline.columns.items()}
    assert kinds == {"temp": "number", "weather": "category"}
    assert pipeline.task == "regression"


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (["yes", "no"], "binary"),
        (["0", "1"], "binary"),
        (["0", "1", "2"], "multiclass"),
        (["a", "b", "c"], "multiclass"),
        ([str(number / 7) for number in range(21)], "regression"),
    ],
)
def test_the_task_follows_from_the_target(tmp_path: Path, target: list[str], task: str) -> None:
    lines = [f"2011-01-01 {row:02d}:00,{row}.5,{value}\n" for row, value in enumerate(target)]
    path = write(tmp_path, "at,temp,count\n" + "".join(lines))
    assert resolve(pipeline_of(path)).task == task


def test_a_slice_by_a_column_that_the_data_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineFileError, match=r"slices must name features.*Got 'tmp'; did you"):
        resolve(pipeline_of(write(tmp_path), exclude=["code"], slices=["tmp"]))


def test_what_the_pipeline_file_says_is_not_looked_up(tmp_path: Path) -> None:
    stated = pipeline_of(tmp_path / "gone.csv", task="regression", columns={"temp": "number"})
    assert resolve(stated) is stated


def test_times_names_and_empty_columns_are_no_features(tmp_path: Path) -> None:
    rows = 60
    frame = pd.DataFrame(
        {
            "at": pd.date_range("2011-01-01", periods=rows, freq="h"),
            "count": range(rows),
            "temp": 1.5,
            "sold": pd.date_range("2012-01-01", periods=rows, freq="h"),
            "name": [f"customer {row}" for row in range(rows)],
            "nothing": None,
            "nested": [[1]] * rows,
            "flag": [True, False] * (rows // 2),
        }
    )
    path = tmp_path / "bikes.parquet"
    frame.to_parquet(path)
    kinds = {name: column.kind for name, column in resolve(pipeline_of(path)).columns.items()}
    assert kinds == {"temp": "number", "flag": "number"}


def test_a_target_that_starts_out_constant_is_looked_at_whole(tmp_path: Path) -> None:
    lines = "".join(f"2011-01-01,{row},{row > 11_000}\n" for row in range(12_000))
    pipeline = resolve(pipeline_of(write(tmp_path, "at,temp,count\n" + lines)))
    assert pipeline.task == "binary"


def test_a_constant_target_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "at,temp,count\n2011-01-01,1,7\n2011-01-02,1,7\n")
    with pytest.raises(SourceError, match="must take at least two values"):
        resolve(pipeline_of(path))


def test_a_source_without_features_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "at,count\n2011-01-01,1\n2011-01-02,2\n")
    with pytest.raises(SourceError, match="no feature to learn from"):
        resolve(pipeline_of(path))


def test_a_feature_of_a_reserved_name_is_refused_until_it_is_excluded(tmp_path: Path) -> None:
    path = write(tmp_path, "at,temp,Label,count\n2011-01-01,1,1,1\n2011-01-02,2,2,2\n")
    with pytest.raises(PipelineFileError, match="put it under 'exclude'"):
        resolve(pipeline_of(path))
    assert resolve(pipeline_of(path, exclude=["Label"])).features == ("temp",)


# --- delivering ---------------------------------------------------------------------------------


def test_a_delivery_holds_what_was_known_and_no_more(tmp_path: Path) -> None:
    pipeline = resolve(pipeline_of(write(tmp_path)))
    delivery = deliver(pipeline, as_of=utc("2011-01-02 05:00"))
    assert len(delivery.records) == 30
    assert delivery.records["known_time"].max() == utc("2011-01-02 05:00")
    assert len(delivery.labels) == 6
    assert delivery.labels["known_time"].max() == utc("2011-01-02 05:00")
    assert list(delivery.labels.columns) == ["record_id", "event_time", "known_time", "label"]


def test_a_row_without_truth_is_a_record_without_label(tmp_path: Path) -> None:
    path = write(tmp_path, "at,temp,count\n2011-01-01,1,\n2011-01-02,2,5\n")
    stated = pipeline_of(path, task="regression", columns={"temp": "number"})
    delivery = deliver(stated, as_of=utc("2012-01-01"))
    assert len(delivery.records) == 2
    assert list(delivery.labels["label"]) == [5.0]
    assert delivery.quarantine.empty


def test_labels_with_a_time_of_their_own_are_known_then(tmp_path: Path) -> None:
    text = "at,temp,landed,count\n2011-01-01,1,2011-01-09,3\n2011-01-02,2,2011-01-03,5\n"
    stated = pipeline_of(
        write(tmp_path, text),
        task="regression",
        columns={"temp": "number"},
        label_delay=None,
        label_time="landed",
    )
    assert list(deliver(stated, as_of=utc("2011-01-05")).labels["label"]) == [5.0]


def test_a_corrected_label_is_known_when_its_correction_was(tmp_path: Path) -> None:
    text = (
        "at,temp,changed,count\n"
        "2011-01-01,1,2011-01-01,3\n"
        "2011-01-01,1,2011-01-09,3\n"
        "2011-01-01,1,2011-01-20,4\n"
    )
    stated = pipeline_of(
        write(tmp_path, text), task="regression", columns={"temp": "number"}, updated="changed"
    )
    labels = deliver(stated, as_of=utc("2012-01-01")).labels
    assert list(labels["label"]) == [3.0, 4.0]
    assert list(labels["known_time"]) == [utc("2011-01-02"), utc("2011-01-20")]


def test_a_class_keeps_its_name_from_any_file(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"at": pd.date_range("2011", periods=3), "temp": 1.0, "count": [0.0, 1.0, None]}
    )
    path = tmp_path / "bikes.parquet"
    frame.to_parquet(path)
    pipeline = resolve(pipeline_of(path))
    assert pipeline.task == "binary"
    assert list(deliver(pipeline, as_of=utc("2012-01-01")).labels["label"]) == ["0", "1"]


def test_the_shipped_bikeshare_passes_its_own_checks(clone: Path) -> None:
    pipeline = read_pipeline(clone / "pipelines" / "bikeshare.yaml")
    delivery = deliver(pipeline, as_of=utc("2013-01-02"))
    assert len(delivery.records) == len(delivery.labels) == 17_379
    assert delivery.quarantine.empty
    assert delivery.records["weather"].isna().sum() == 1_258


def test_flights_have_labels_only_where_they_landed(datasets: Path) -> None:
    path = datasets / "flights" / "flights.parquet"
    if not path.is_file():
        pytest.skip(f"data set flights: {path} is absent")
    pipeline = pipeline_of(
        path,
        time="event_time",
        target="late",
        id="flight_id",
        label_delay=None,
        label_time="label_time",
        exclude=["arr_delay_min"],
    )
    resolved = resolve(pipeline)
    assert resolved.task == "binary"
    delivery = deliver(resolved, as_of=utc("2013-02-01"))
    assert 26_000 < len(delivery.labels) < len(delivery.records) < 28_000
    assert (delivery.labels["known_time"] > delivery.labels["event_time"]).all()


def test_half_hours_that_stand_twice_in_elec2_are_set_aside(datasets: Path) -> None:
    path = datasets / "elec2" / "elec2.csv.gz"
    if not path.is_file():
        pytest.skip(f"data set elec2: {path} is absent")
    stated = pipeline_of(path, time="timestamp", target="up", label_delay="1h")
    by_time = deliver(stated, as_of=utc("1999-01-01"))
    assert len(by_time.quarantine) == 96
    by_number = deliver(stated.model_copy(update={"id": "seq"}), as_of=utc("1999-01-01"))
    assert len(by_number.records) == 45_312


def test_a_first_label_is_not_known_before_the_version_that_brings_it(tmp_path: Path) -> None:
    text = (
        "id,at,changed,temp,count\n"
        "a,2011-01-01,2011-01-01,1,\na,2011-01-01,2011-01-09,1,7\n"  # filled in late
        "b,2011-01-01,2011-01-01,2,8\nb,2011-01-01,2011-01-09,3,8\n"  # known since its delay
    )
    pipeline = pipeline_of(write(tmp_path, text), id="id", updated="changed", task="regression")
    assert set(deliver(pipeline, as_of=utc("2011-01-08")).labels["record_id"]) == {"b"}
    labels = deliver(pipeline, as_of=utc("2011-01-09")).labels.set_index("record_id")
    assert labels["known_time"].to_dict() == {"a": utc("2011-01-09"), "b": utc("2011-01-02")}
