"""`dams …`: one module per group of commands. Each module lists its commands in `commands`."""
