"""How the program finds its database."""
