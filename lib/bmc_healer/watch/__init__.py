"""What runs behind the two sensors: the watch processes, and the bridge that starts them."""
