"""Calls: who rings whom, who answers, and how it ends; what the two devices say to each other to connect."""
