"""What the body of a flow adds to the steps that it calls."""

from flows.steps import everyday

HEAT = {"kind": "number", "fallback": "default", "default": 0.25}


def test_the_delivery_that_brings_a_fault_is_stood_in_for_at_once(trained, day, world) -> None:
    trained.change(columns={"heat": HEAT, "weather": "category"})
    rows = world()
    frozen = rows["at"].between("2024-03-02", "2024-03-03", inclusive="left")  # days 61 to 62
    rows.loc[frozen, "heat"] = 7.25
    trained.write(rows)
    trained.ingest(day(62))

    done = everyday.score(trained.home, trained.pipeline, as_of=day(62), clock=trained.clock)

    made = trained.rows("predictions").set_index("event_time")["fallbacks"]
    assert done["stood_in"] >= frozen.sum() == 8
    assert made[(made.index >= day(61)) & (made.index < day(62))].notna().all()
    assert made[made.index < day(60.5)].isna().all()
