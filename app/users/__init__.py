"""Other people: who they are and how to find them."""
