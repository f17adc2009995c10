"""The parts that reports are made of: Markdown, HTML and sheets of pictures."""
