"""The control process's ends of other processes: one link per supervisor, one per worker. They decide nothing."""
