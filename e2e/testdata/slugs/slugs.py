import dashes
import low_ers


def slug(title):
    """A title as a part of an address."""
    return dashes.join(low_ers.lower(word) for word in title.split())
