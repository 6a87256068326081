"""What runs by itself, on the durable engine."""
