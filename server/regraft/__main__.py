"""`python -m regraft` is `regraft`."""

from regraft.cli.main import main

if __name__ == "__main__":
    main()
