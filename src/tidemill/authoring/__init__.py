"""What people write: tasks, flows, conditions, resources, secrets; and how a flow becomes a graph.

Law: this room turns Python functions into the values of `tidemill.graph`. It runs nothing by itself, opens no
socket and no database, and knows neither states nor engines. All that a notebook imports is here.
"""
