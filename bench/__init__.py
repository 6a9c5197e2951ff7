"""What watching costs, beside what others cost: `make bench`. Nothing of the product knows this room."""
