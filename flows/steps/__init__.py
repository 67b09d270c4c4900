"""What a flow does, as plain functions over opened stores; nothing of Prefect."""
