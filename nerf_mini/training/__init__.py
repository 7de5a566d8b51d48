"""Training: the loss and its gradient, the optimiser, and the loop over steps."""
