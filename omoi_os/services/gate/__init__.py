"""The parts of a gate's review: where evidence is read, what was there, and what is written down."""
