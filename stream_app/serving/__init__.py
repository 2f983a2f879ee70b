"""What people and programs read. One outside system per file, no decisions."""
