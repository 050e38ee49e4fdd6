"""BPMN models and their persisted instances on SpiffWorkflow."""
