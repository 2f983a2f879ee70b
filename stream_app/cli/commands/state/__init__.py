"""Commands that change what the tracker keeps."""
