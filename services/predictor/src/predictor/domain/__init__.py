"""What the predictor decides: who answers, what the model sees, what an answer says."""
