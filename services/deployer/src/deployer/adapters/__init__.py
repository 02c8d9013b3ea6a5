"""What the deployer needs of the outside."""
