"""What `doctor` looks at: each module gives findings about one part of the installation."""
