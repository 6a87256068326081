"""`omoi demo`: one ticket from REQUIREMENTS to DONE.

Everything but the models' answers is the product's own: `story` waits for what it does and says what must
come of it, `told` shows rows, `workshop` is the machine that it runs on, `models` say what the script says.
"""
