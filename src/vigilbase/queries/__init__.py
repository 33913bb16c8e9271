"""What a face shows, loaded from the database and the file. The database is open already."""
