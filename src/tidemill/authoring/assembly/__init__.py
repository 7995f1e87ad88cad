"""The parts of `building`: references, arguments, mapping, order, wiring, shipping. Knows drafts of nodes; runs nothing."""
