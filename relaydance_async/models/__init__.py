"""What goes out and what comes back: typed, lenient models that know nothing of the client."""
