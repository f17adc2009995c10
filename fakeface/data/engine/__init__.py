"""Work through any number of pictures in units: in worker processes, exactly once, going on after a kill."""
