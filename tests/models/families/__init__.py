"""All families, each checked in the same way on a tiny checkpoint of its true class."""
