"""Looking at live engines: what they think of the next token, and what they draw."""
