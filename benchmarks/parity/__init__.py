"""Numbers side by side with the authors' code, other packages and the papers."""
