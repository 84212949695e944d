"""How a detector's verdicts hold when images are delivered otherwise, or attacked."""
