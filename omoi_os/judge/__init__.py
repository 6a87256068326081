"""The only place that knows OpenHands: bounded conversations that must end in a typed submission.

Importing this package, `run`, `tools` or `executor` loads neither OpenHands nor litellm (seconds, and
hundreds of megabytes); the first run does.
"""
