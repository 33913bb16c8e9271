"""The command line: parse, call, render. No SQL, no rules."""
