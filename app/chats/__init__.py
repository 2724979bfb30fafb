"""Chats: direct, groups and channels; who is in them; what each member has read and set."""
