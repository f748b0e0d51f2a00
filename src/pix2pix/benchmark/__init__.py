"""Compare the speed of training and sampling with a plain implementation of the same recipe."""
