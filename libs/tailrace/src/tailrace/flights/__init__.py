"""The flights of 2013, played against a platform by clients, and what its topics say of them."""
