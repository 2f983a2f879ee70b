"""The numbered rules of standings, the pace of users, and their evaluation."""
