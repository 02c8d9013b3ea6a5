"""Which versions answer: follows the rollouts, and loads what they name."""
