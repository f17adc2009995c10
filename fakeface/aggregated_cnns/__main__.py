"""`python -m fakeface.aggregated_cnns` scores pictures with the five networks."""

from .scores import main

if __name__ == "__main__":
    main()
