"""The search for a recipe: candidates and windows first, then Optuna, judged on later rows."""

from components.search.searching import search_recipe
from components.search.trials import Search, Trial

__all__ = ["Search", "Trial", "search_recipe"]
