"""Messages: sending, reading, and the unread counts that follow."""
