"""How servers are reached: settings as the options of each client library, and what a refusal means."""
