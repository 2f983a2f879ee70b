"""The intervals of cuts: how their widths are fitted, and how often the truth is inside."""
