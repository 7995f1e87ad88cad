"""Values into text: words, tables, lines, a live tree. It asks nothing and decides nothing."""
