"""The life of a run, as a pure state machine: events in, events and effects out.

Law: everything that decides what becomes of a run or a task is in this room, and nothing else is. Time comes in
with the events; it knows no clock, no store, no process, and it cannot wait. Folding a run's events gives its state.
"""
