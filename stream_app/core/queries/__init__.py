"""Read-only queries: the one door through which serving reads state, and the names that it needs to ask.

`QueryableState` is the whole of it (Flink's word). It hands out `UserQueries` of a partition and `ScopeQueries` of all
partitions. What they return is of one moment: keep no queries across an await, the ledgers behind them change.
"""

from stream_app.core.changelog.standing_records import standing_key as standing_key
from stream_app.core.cuts.history import PastCut as PastCut
from stream_app.core.exchange.cut_record import CutRecord as CutRecord
from stream_app.core.exchange.cut_record import is_sound as is_sound
from stream_app.core.exchange.cut_record import of_role as of_role
from stream_app.core.queries.funnels import FunnelQueries as FunnelQueries
from stream_app.core.queries.queryable_state import PartitionVersion as PartitionVersion
from stream_app.core.queries.queryable_state import QueryableState as QueryableState
from stream_app.core.queries.recruits import RecruitedBy as RecruitedBy
from stream_app.core.queries.recruits import RecruitEntry as RecruitEntry
from stream_app.core.queries.recruits import RecruitSearch as RecruitSearch
from stream_app.core.queries.scope_funnel import FunnelFigures as FunnelFigures
from stream_app.core.queries.scope_funnel import ScopeFunnel as ScopeFunnel
from stream_app.core.queries.scopes import ScopeQueries as ScopeQueries
from stream_app.core.queries.scopes import at_home as at_home
from stream_app.core.queries.top_k import TopUsers as TopUsers
from stream_app.core.queries.users import FoundUser as FoundUser
from stream_app.core.queries.users import UserLookup as UserLookup
from stream_app.core.queries.users import UserQueries as UserQueries
from stream_app.core.queries.users import UserQuery as UserQuery
from stream_app.core.state.scopes import ScopeName as ScopeName
from stream_app.core.state.watermark import BatchCounts as BatchCounts
