"""The only driver: it takes runs up, lets the machine decide, writes what was decided, and performs it.

Law: it decides nothing about a run (the machine does), knows no SQL, no process and no screen (ports do), and it is
the one place where effects become deeds.
"""
