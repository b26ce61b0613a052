"""Which members the models of P(no purchase), of orders and of spend have, and their settings.

    arguments of Lifecycle -> arguments -> MemberSettings -> config of a training, and its bundle

=============  ============================================================================
``ours``       ``Btyd``, ``Trees``, ``Regression``, ``Hazard``: settings of our members
``own``        ``member``: a classifier or regressor of the user as a member
``settings``   ``MemberSettings``: the members of a training, to and from JSON
``arguments``  ``members_of``: the arguments of ``Lifecycle`` checked, as ``MemberSettings``
=============  ============================================================================

The defaults are those of every training that names none.
"""

from stagecast.training.member_settings.arguments import members_of
from stagecast.training.member_settings.ours import Btyd, Hazard, Regression, Trees
from stagecast.training.member_settings.own import OwnMember, member
from stagecast.training.member_settings.settings import MemberSettings

__all__ = [
    "Btyd",
    "Hazard",
    "MemberSettings",
    "OwnMember",
    "Regression",
    "Trees",
    "member",
    "members_of",
]
