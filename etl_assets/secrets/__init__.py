"""References to secrets, resolved late, and the one redactor for what leaves the process."""
