"""``python -m ui`` is ``echoic``, for where the command is not on the path."""

from ui.cli import main

if __name__ == "__main__":  # worker processes may import this module again
    main()
