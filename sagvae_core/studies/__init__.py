"""Commands behind the project's numbers; each result names the command that made it."""
