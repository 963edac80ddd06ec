"""What is MySQL's and MariaDB's own in reading from them."""
