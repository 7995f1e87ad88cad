"""What workers print: attributed, masked and bounded on its way from their file descriptors into the files of attempts."""
