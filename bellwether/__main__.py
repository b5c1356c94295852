"""`python -m bellwether` is the command `bellwether`."""

from bellwether.cli import main

if __name__ == "__main__":
    main()
