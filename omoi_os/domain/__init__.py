"""What the service decides, without any I/O: facts in, findings and verdicts out."""
