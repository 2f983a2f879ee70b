"""Characters that draw nothing, by what they are: names that differ in these alone look the same."""

UNSEEN = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U00016fe4\U0001d159\U0001da9b-\U0001daaf\U000e0100-\U000e01ef"
)
"""Letters, marks and symbols: fillers, blanks, variation selectors. As ranges of a regular expression."""
FORMATS = (
    "\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Formats: joiners, marks of direction, byte order marks, soft hyphens, tags; Python calls them not printable."""
