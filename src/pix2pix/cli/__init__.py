"""The command line: one module for each verb, with its parser beside its command, and `main`, which calls them."""
