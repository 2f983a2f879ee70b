"""From fetched batches to counts: crediting, counting up to the end of a step, and what is set aside."""
