"""The rules, without I/O: standard library only, so that every part may import them."""
