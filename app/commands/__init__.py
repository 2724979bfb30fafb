"""What operators type: `python -m app.commands create-user | demo | doctor`."""
