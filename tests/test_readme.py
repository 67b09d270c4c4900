"""What the README says is so, and what there is, it says."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from components.pipelines import Pipeline, read_pipeline
from driftwheel import asking, everyday, expert, keeping, onestep, setting_up, trusting
from driftwheel.app import app
from flows.settings import CONFIG_NAME, Settings, load_settings

CLONE = Path(__file__).resolve().parents[1]
README = (CLONE / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    rows = re.findall(r"(?m)^\| (`.*?) \|", text)
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"(?s)```{language}\n(.*?)```", text)


@pytest.fixture(scope="module")
def commands() -> set[str]:
    for panel in (setting_up, everyday, asking, onestep, trusting, expert, keeping):
        panel.register(app)
    return set(get_command(app).commands)


def test_every_command_is_documented_and_every_documented_command_exists(
    commands: set[str],
) -> None:
    told = {cell.split()[0].partition("[")[0] for cell in first_cells(section("Commands"))}
    assert told - {"NAME"} == commands


def test_every_field_of_a_pipeline_file_is_documented_and_no_other() -> None:
    told = set(first_cells(section("Your own pipeline")))
    known = {*Pipeline.model_fields, "window"} - {"file", "places", "windows"}
    assert told | {"source", "time", "target"} == known


def test_the_shortest_pipeline_file_is_one(tmp_path: Path) -> None:
    (text,) = blocks(section("Your own pipeline"), "yaml")
    (tmp_path / "demand.yaml").write_text(text, encoding="utf-8")
    assert read_pipeline(tmp_path / "demand.yaml").target == yaml.safe_load(text)["target"]


def test_the_settings_file_is_one_and_names_what_can_be_set(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (text,) = blocks(section("Connecting to what you have"), "toml")
    (home / CONFIG_NAME).write_text(text, encoding="utf-8")
    monkeypatch.setenv("LEDGER_PASSWORD", "s3cret")
    monkeypatch.setenv("SHOP_PASSWORD", "t0psecret")
    monkeypatch.setenv("SLACK_URL", "slack://secret-token")
    settings = load_settings(home)
    assert "s3cret" in settings.ledger
    assert "t0psecret" in str(settings.place("SHOP_DB"))
    assert "secret" not in repr(settings)
    known = {each.name for each in fields(Settings)} - {"home", "mlflow_registry_uri"}
    assert set(tomllib.loads(text)) == known


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (CLONE / "Makefile").read_text(encoding="utf-8")))
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (CLONE / name).read_text(encoding="utf-8")
        named = re.findall(r"(?m)(?:`|^\$ )make ([a-z]+)", text)
        assert set(named) <= targets, name


def test_every_folder_in_the_tree_exists() -> None:
    (tree,) = blocks(section("What is where"), "text")
    named = [line.split()[0] for line in tree.splitlines()]
    assert [name for name in named if not (CLONE / name).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_link_to_a_file_leads_somewhere(name: str) -> None:
    text = (CLONE / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", text)
    assert [link for link in links if not (CLONE / link).exists()] == []
