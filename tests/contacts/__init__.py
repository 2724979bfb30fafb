"""Contacts, blocks, and what two people share."""
