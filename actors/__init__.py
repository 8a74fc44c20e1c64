"""Ray actors and what they are made of. The classes are plain; only the thin shells know Ray."""
