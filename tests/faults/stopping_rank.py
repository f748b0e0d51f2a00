"""A rank that is sent SIGTERM at a step: python -m stopping_rank STEP train ..."""

import sys

from rows_ranks import stop_at

from pix2pix.cli.main import main

if __name__ == "__main__":
    if int(sys.argv[1]):
        stop_at(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
