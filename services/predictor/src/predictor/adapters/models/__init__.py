"""Files of versions, and what runs them."""
