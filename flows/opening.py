"""Open the home that the settings name."""

from typing import TYPE_CHECKING

from flows.settings import Settings

if TYPE_CHECKING:
    from flows.steps.home import Home


def open_home(settings: Settings) -> "Home":
    """Open a home; nothing is created or connected until it is used."""
    from flows.steps.home import Home

    return Home(
        root=settings.home,
        lake_uri=settings.lake_uri,
        ledger_url=settings.ledger_url,
        tracking_uri=settings.tracking_uri,
        registry_uri=settings.registry_uri,
        prefix=settings.prefix,
        environment=settings.environment,
        pipeline_folders=settings.pipeline_folders,
        place=settings.place,
        alerts=settings.alerts,
    )
