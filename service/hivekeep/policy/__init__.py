"""What may be done here: the schema of policies, their sources, and the decision on one action.

Responsible for deciding from data handed to it; it performs no action.  Invariant: a denial always
beats a permission, and a policy that cannot be understood permits nothing.
"""

from hivekeep.policy.holder import PolicyHolder
from hivekeep.policy.layers import Level
from hivekeep.policy.loading import PolicySources
from hivekeep.policy.machine import machine_sources
from hivekeep.policy.merging import PolicyRow
from hivekeep.policy.policy import InvalidPolicy, Policy, load_policy
from hivekeep.policy.schema import PolicySettings, policy_schema, policy_schema_text

__all__ = [
    "InvalidPolicy",
    "Level",
    "Policy",
    "PolicyHolder",
    "PolicyRow",
    "PolicySettings",
    "PolicySources",
    "load_policy",
    "machine_sources",
    "policy_schema",
    "policy_schema_text",
]
