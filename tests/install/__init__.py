"""Installing from the lock, with old and new pip, whatever was released since: `make test-install`."""
