"""Published data sets, and facades that are drawn without any download."""
