"""Places where attempts run on this machine: warm processes, fresh ones, threads, an event loop, one lane for inline work.

This side lives in the control process and never imports, unpickles or evaluates user code; `far/` is what runs in the
supervisor and the workers. Knows no graph, no retry and no schedule, and stores nothing but logs.
"""
