"""Parts: where they lie, what moves them, what will be needed."""
