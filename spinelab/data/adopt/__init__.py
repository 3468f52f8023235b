"""Looking at a folder of scans and masks, and writing the configuration that reads it."""
