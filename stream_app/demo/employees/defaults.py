"""The settings that `--employees` begins with: those of people who write some messages a day, and who have rights.

All durations of the rules are 28 times their defaults, as the window is: somebody writes in four weeks at work what
others post in a day. The reasons, and what they make of a company's mail, are in docs/employees.md.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S

EMPLOYEES: Mapping[str, Any] = {
    # Weeks, so that there are enough messages of a person to compare.
    "window_s": 28 * _DAY_S,
    "pane_s": 6 * _HOUR_S,
    "short_s": _DAY_S,
    "step_s": 2 * _HOUR_S,
    "dwell_s": 6 * _HOUR_S,
    "emerging_near_horizon_s": _DAY_S,
    "emerging_horizon_s": 4 * _DAY_S,
    # A message reaches its recipients, some of them, not followers.
    "min_impressions": 20,
    # Archives of mail are older than social networks; what claims to be older still has a wrong clock.
    "min_ts": dt.date(1990, 1, 1),
    # Nobody is named among fewer than five, so topics of fewer than ten flag nobody.
    "min_group": 5,
    "min_users": 10,
    "audit": True,
}
"""By name; what is given on the command line or in the environment wins."""
