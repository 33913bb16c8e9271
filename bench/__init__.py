"""Side-by-side benchmarks, run by hand; `bench/README.md` says how."""
