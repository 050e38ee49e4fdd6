"""The clinic's rules as plain async functions: ``AsyncSession`` first, never a commit, no framework."""
