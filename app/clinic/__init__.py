"""The clinic's rules as plain async functions: ``Session`` first, never a commit, no framework."""
