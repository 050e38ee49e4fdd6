"""Tables and sessions. No rules of the clinic and no engine live here."""
