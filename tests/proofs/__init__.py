"""The proofs and benchmarks in their short forms, one after the other: `make test-proofs`."""
