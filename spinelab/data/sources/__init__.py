"""One file a layout on disk; each lists cases and reads no pixels."""
