"""What a pipeline file may say of its data, and what it must not."""

from typing import Any

import pytest
from pydantic import ValidationError

from components.pipelines import Column, History, Labels, Pipeline, Sink, Source

GIVEN: dict[str, Any] = {
    "name": "shop",
    "source": {"path": "orders.csv"},
    "time": "at",
    "target": "units",
    "task": "regression",
    "label_delay": "1d",
    "columns": {"price": "number", "country": "category"},
}


def pipeline(**fields: Any) -> Pipeline:
    return Pipeline.model_validate({**GIVEN, **fields})


def refused(**fields: Any) -> str:
    with pytest.raises(ValidationError) as refusal:
        pipeline(**fields)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ({"path": "orders.csv"}, "orders.csv"),
        ({"url": "${SHOP}", "table": "orders"}, "${SHOP} (orders)"),
        ({"url": "${SHOP}", "query": "select 1"}, "${SHOP} (query)"),
        ({"python": "feeds.shop:orders"}, "feeds.shop:orders"),
    ],
)
def test_a_source_is_one_place_and_is_shown_without_a_secret(
    source: dict[str, str], shown: str
) -> None:
    assert Source.model_validate(source).shown == shown


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({}, "Got none"),
        ({"path": "a.csv", "python": "m:f"}, "Got path and python"),
        ({"url": "${SHOP}"}, "needs either query or table"),
        ({"url": "${SHOP}", "table": "a", "query": "b"}, "needs either query or table"),
        ({"path": "a.csv", "query": "b"}, "neither stands without url"),
        ({"path": "https://shop.example/a.csv"}, "give an address as url"),
        ({"python": "no function"}, "should match pattern"),
        ({"path": "a.csv", "lateness": "0d"}, "longer than nothing"),
    ],
)
def test_a_source_that_cannot_be_is_refused_in_words(source: dict[str, str], words: str) -> None:
    assert words in refused(source=source)


@pytest.mark.parametrize("part", ["source", "sink", "labels"])
def test_an_address_never_stands_in_a_pipeline_file_and_never_in_the_complaint(part: str) -> None:
    address = "postgresql://ann:secret@db.example/shop"
    given: dict[str, Any] = {
        "source": {"source": {"url": address, "table": "t"}},
        "sink": {"sink": address},
        "labels": {"labels": {"url": address, "table": "t", "id": "i", "time": "t"}},
    }[part]
    with pytest.raises(ValidationError) as refusal:
        pipeline(**given)
    messages = [error["msg"] for error in refusal.value.errors()]
    assert any("url must be ${NAME}" in message for message in messages)
    assert not any("secret" in message for message in messages)


def test_an_address_is_looked_up_where_it_is_known() -> None:
    known = pipeline(source={"url": "${SHOP}", "table": "orders"})
    filled = known.model_copy(update={"places": {"SHOP": "sqlite:///shop.db"}})
    assert filled.address_of(filled.source) == "sqlite:///shop.db"
    with pytest.raises(ValueError, match=r"names \$\{SHOP\}, which is neither set"):
        known.address_of(known.source)


def test_what_an_address_stands_for_is_never_shown_nor_written() -> None:
    filled = pipeline().model_copy(update={"places": {"SHOP": "postgresql://ann:secret@db/shop"}})
    assert "secret" not in repr(filled)
    assert "secret" not in filled.model_dump_json()


def test_labels_in_a_table_of_their_own_need_the_name_of_a_record() -> None:
    labels = {"path": "truth.csv", "id": "order", "time": "settled_at"}
    assert "need id" in refused(labels=labels, label_delay=None)
    own = pipeline(labels=labels, label_delay=None, id="order").labels
    assert isinstance(own, Labels)
    assert own.time == "settled_at"
    assert "needs one of label_delay" in refused(labels=labels, id="order")


def test_a_sink_is_an_address_and_a_table() -> None:
    assert Sink.model_validate("${SHOP}") == Sink(url="${SHOP}", table="predictions")
    assert Sink.model_validate("${SHOP}#answers").table == "answers"


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ({"kind": "number", "fallback": "default"}, "needs a value under default"),
        ({"kind": "number", "default": 3}, "needs a value under default"),
        ({"kind": "number", "fallback": "default", "default": "x"}, "must be a number"),
    ],
)
def test_a_fallback_has_a_value_where_it_needs_one(column: dict[str, Any], words: str) -> None:
    assert words in refused(columns={"price": column})
    assert Column(kind="number", fallback="last").default is None


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"last": "label"}, "label_last"),
        ({"mean": "label", "over": "7d"}, "label_mean_7d"),
        ({"last": "label", "back": "7d"}, "label_last_back_7d"),
        (
            {"mean": "label", "over": "28d", "same": "hour", "by": "country"},
            "label_mean_28d_same_hour_by_country",
        ),
        ({"count": "records", "over": "1d"}, "records_count_1d"),
        ({"trend": "price", "over": "7d"}, "price_trend_7d"),
    ],
)
def test_a_history_feature_is_named_by_what_it_says(given: dict[str, Any], name: str) -> None:
    feature = pipeline(history=[given]).history[0]
    assert isinstance(feature, History)
    assert feature.name == name


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mean": "prise"}, "'prise' is neither label"),
        ({"mean": "records"}, "can only be counted"),
        ({"mean": "country"}, "is a category and has no mean"),
        ({"last": "label", "by": "price"}, "must name the entity or a category"),
        ({"of": "label"}, "take"),
        ({"mean": "label", "over": "7d", "back": "7d"}, "nothing lies between"),
    ],
)
def test_history_that_cannot_be_is_refused(given: dict[str, Any], words: str) -> None:
    assert words in refused(history=[given])


def test_the_same_history_twice_is_refused() -> None:
    assert "twice" in refused(history=[{"last": "label"}, {"last": "label"}])


def test_a_model_reads_the_columns_and_then_the_history() -> None:
    given = pipeline(history=[{"last": "country"}, {"last": "label"}, {"count": "label"}])
    assert given.inputs == {
        "price": "number",
        "country": "category",
        "country_last": "category",
        "label_last": "number",
        "label_count": "number",
    }
    assert given.features == ("price", "country")
    named = pipeline(task="binary", history=[{"last": "label"}])
    assert named.inputs["label_last"] == "category"


def test_a_label_of_many_classes_can_be_repeated_but_not_averaged() -> None:
    assert "has no mean" in refused(task="multiclass", history=[{"mean": "label"}])
    assert pipeline(task="multiclass", history=[{"last": "label"}]).inputs["label_last"]


@pytest.mark.parametrize(
    "monitor",
    [
        {"category": {"method": "wasserstein", "threshold": 0.1}},
        {"columns": {"country": {"method": "ks", "threshold": 0.05}}},
    ],
)
def test_a_test_of_numbers_is_refused_for_a_category(monitor: dict[str, Any]) -> None:
    assert "a category is none" in refused(monitor=monitor)
