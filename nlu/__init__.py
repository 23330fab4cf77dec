"""The language room: what guests mean, and what we say."""
