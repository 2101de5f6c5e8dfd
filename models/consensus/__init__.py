"""One decision function: rows in, one verdict out."""
