"""What would happen, and why: the plan of a graph of assets, from what is defined and what is remembered.

Law: pure. It is given the definitions as values and what the store knows as values; it runs nothing, reads no clock, and the
reason it gives is made of the very parts that the decision was made of.
"""
