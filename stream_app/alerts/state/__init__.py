"""What is remembered of flags that were sent: notifications, their records, and who writes them."""
