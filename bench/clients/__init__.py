"""Small programs that look once or again and again, and print what one look costs as JSON."""
