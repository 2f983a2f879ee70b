"""`python -m stream_app`."""

from stream_app.cli import main

if __name__ == "__main__":
    main(prog_name="stream-app")
