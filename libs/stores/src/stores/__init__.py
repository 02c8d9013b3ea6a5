"""How Tailrace uses its shared stores: Delta tables, MLflow, Feast and skops files."""
