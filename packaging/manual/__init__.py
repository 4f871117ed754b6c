"""Manual pages and shell completion, made from the parsers of the three programs. Used when packages are built."""
