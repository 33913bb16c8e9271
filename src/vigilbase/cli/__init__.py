"""The command line: parses, calls and prints. It has no SQL, no rules, and no JSON of its own."""
