"""Files: uploading, what others see of them, serving and removing them."""
