"""The demo stream: a population whose true answers are known."""
