"""SQL in named places. Functions take a connection or session first and never commit."""
