"""Search in messages and chats: tokens made in Python, an index filled by workers, access checked when it is asked."""
