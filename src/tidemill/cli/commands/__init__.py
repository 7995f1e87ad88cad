"""One module for each sub-command, with its click command as `command`."""
