"""The endpoints: one small file each, saying what goes out and what comes back."""
