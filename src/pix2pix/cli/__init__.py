"""The command line: one file a verb, dispatched by `main`."""
