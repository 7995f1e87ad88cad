"""How values become bytes and bytes values: one file per codec, chosen by type.

Law: a codec knows its library and nothing of handles' places; it never imports its library unless the value is of
that library, or one is being read.
"""
