"""What drives the engines: SpiffWorkflow in process, the others by name through the outbox."""
