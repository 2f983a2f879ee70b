"""What is done regularly: evaluation, the exchange of curves, cuts published, flags sent."""
