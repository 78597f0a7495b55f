"""Pure functions: bytes and values in, bytes and values out. The clock and the randomness are arguments."""
