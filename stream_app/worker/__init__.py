"""The composition root: puts engine and serving together and runs them."""
