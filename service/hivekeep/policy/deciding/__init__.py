"""The decision on each kind of action, one pure function of the rule book and the action.

Responsible for what the rules say; labels and approvals come after, in ``policy.policy``.
Invariant: within each function whatever denies is asked before whatever allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hivekeep.domain.actions import Action, ActionKind, Decision
from hivekeep.policy.deciding import files, people, reach, work
from hivekeep.policy.rules import Rulebook

Decider = Callable[[Rulebook, Action], Decision]

DECIDERS: Mapping[ActionKind, Decider] = {
    ActionKind.READ_FILE: files.read,
    ActionKind.WRITE_FILE: files.write,
    ActionKind.COPY_FILE: files.copy,
    ActionKind.MOVE_FILE: files.move,
    ActionKind.DELETE_FILE: files.delete,
    ActionKind.WATCH_FOLDER: files.watch,
    ActionKind.START_RUN: work.start_run,
    ActionKind.SCHEDULE_RUN: work.schedule_run,
    ActionKind.USE_RECIPE: work.use_recipe,
    ActionKind.USE_MODEL: work.use_model,
    ActionKind.DOWNLOAD_MODEL: reach.download_model,
    ActionKind.CONNECT: reach.connect,
    ActionKind.REMOTE_INFERENCE: reach.remote_inference,
    ActionKind.RAY_CLUSTER: reach.ray_cluster,
    ActionKind.RUN_CODE: reach.run_code,
    ActionKind.RUN_COMMAND: reach.run_command,
    ActionKind.USE_TOOL: reach.use_tool,
    ActionKind.MCP_START: reach.mcp_start,
    ActionKind.MCP_CALL: reach.mcp_call,
    ActionKind.BROWSER_VISIT: reach.browser_visit,
    ActionKind.BROWSER_ACT: reach.browser_act,
    ActionKind.SEND_DATA: reach.send_data,
    ActionKind.USE_MARKET_PROVIDER: reach.use_market_provider,
    ActionKind.CLIPBOARD: people.clipboard,
    ActionKind.NOTIFY: people.notify,
    ActionKind.EXPORT_AUDIT: people.export_audit,
    ActionKind.INSTALL_UPDATE: people.install_update,
}
