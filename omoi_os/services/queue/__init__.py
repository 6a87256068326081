"""The parts of `TaskQueueService`: what waits, what is tried again, what is late, and who has it."""
