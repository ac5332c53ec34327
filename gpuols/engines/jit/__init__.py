"""What the compiled CPU engine is made of, by Numba; imported when it is asked for."""
