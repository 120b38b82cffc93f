"""Tools that run experiments several times, and make tables and claims of results."""
