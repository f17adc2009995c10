"""`python -m fakeface.score` is the command `fakeface score`, for `accelerate launch -m fakeface.score`."""

import sys

if __name__ == "__main__":  # worker processes import this module too, and need no command
    from ..cli import main

    sys.argv.insert(1, "score")
    main()
