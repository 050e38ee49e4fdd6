"""Processes written as code or JSON instead of drawn: SpiffWorkflow's own specifications, on the same engine as BPMN.

`reading` takes a JSON file, `writing` makes one of a specification in Python, `drawing` gives it a diagram, and
`compiling` turns it into what the BPMN parser reads. So one store, one inbox and one timeline serve both.
"""
