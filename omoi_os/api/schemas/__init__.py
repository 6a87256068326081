"""Bodies of requests and responses. Lengths come from the tables."""
