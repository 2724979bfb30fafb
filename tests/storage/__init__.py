"""Files are kept alike in a folder and in a bucket."""
