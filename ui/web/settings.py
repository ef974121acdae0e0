"""What the server was told when it was started."""

is_local = True
"""Only this machine can reach the pages, so that its folders may be indexed from them."""
