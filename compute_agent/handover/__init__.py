"""A guest's network follows it: it is announced on the dest, and seen by its source to be reached there."""
