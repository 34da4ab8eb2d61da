"""The command line's verbs, one module each, imported when called."""
