"""What is PostgreSQL's own in reading from it: binary COPY, fingerprints, late commits."""
