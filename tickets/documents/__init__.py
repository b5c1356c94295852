"""What a customer is given in writing: what stands in it, as text and tables that a page and a PDF print alike."""
