"""What a person or a program is shown: JSON, sentences and tables, made from rows and results. Pure."""
