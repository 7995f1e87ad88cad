"""SQLite and PostgreSQL: connections, transactions, and all that differs between the two. Knows tables, but no verb of the port."""
