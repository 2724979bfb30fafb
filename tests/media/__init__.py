"""Looking at files, safely."""
