"""The embedded servers and the one-terminal runner behind `make run`."""
