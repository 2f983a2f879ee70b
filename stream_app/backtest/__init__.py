"""The backtest: the flags that the tracker raises about recorded events, and how often they were right; no Kafka."""
