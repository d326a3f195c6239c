"""The command line: one file a command; bare flags mean ``run``. Heavy imports wait for the command."""
