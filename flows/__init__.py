"""When, and in which order: Prefect flows, settings, and one table of deployments."""
