"""Arithmetic shared by the engines: double-double, Cholesky, the error bound."""
