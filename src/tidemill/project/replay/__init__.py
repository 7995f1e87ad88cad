"""A past task run again in the terminal: the side that finds it, and the process in which the user's code runs. Stores nothing."""
