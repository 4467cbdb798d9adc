"""The browser app: see what belongs together, spoil images, compare, train."""
