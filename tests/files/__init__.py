"""Files over HTTP: uploading, serving and removing."""
