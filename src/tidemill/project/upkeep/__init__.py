"""What keeps a project in order: looking at its promises, and deleting what is old. It changes no run that is kept."""
