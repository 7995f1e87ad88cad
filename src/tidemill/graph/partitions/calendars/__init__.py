"""Lines of windows of time, numbered from 1970 on: zones as tables, hours to months, and the windows of cron expressions."""
