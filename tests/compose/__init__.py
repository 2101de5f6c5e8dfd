"""An installation of containers: `make compose-test`."""
