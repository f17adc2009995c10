"""What every room may use: errors, files, processes, ranks, text."""
