"""Machine proofs and fuzzing of the C that Cython generates for the kernel."""
