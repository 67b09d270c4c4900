"""Model packages: files that answer as the fitted model did, and run no code when opened."""
