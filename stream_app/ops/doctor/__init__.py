"""The examination behind `stream-app doctor`: one file per thing examined."""
