"""MLflow, ONNX Runtime, Feast, and the bus."""
