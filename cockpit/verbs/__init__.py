"""What a person may type, a group of verbs a file. Heavy imports only inside a verb."""
