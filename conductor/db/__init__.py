"""The conductor's database; nobody else opens it."""
